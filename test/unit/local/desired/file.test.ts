import { expect, test } from 'vitest';
import { FileProblems } from '../../../../src/local/desired/problem.ts';
import { template } from '../../../../src/local/desired/template.ts';
import { schemaText } from '../../../../src/local/desired/json-schema.ts';
import { schemaName } from '../../../../src/local/desired/names.ts';
import { read } from './support.ts';

/** What is wrong, as `line:column path: message`. */
function problems(text: string): string[] {
  try {
    read(text);
  } catch (error) {
    if (!(error instanceof FileProblems)) throw error;
    return error.problems.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
  }
  throw new Error('the file is accepted');
}

test('a new compute.json asks for nothing, and names the description beside it', () => {
  const { desired } = read(template);
  expect(desired).toEqual({
    $schema: `./${schemaName}`,
    roles: [],
    databases: [],
    extensions: [],
    settings: {},
  });
});

test('an extension that can be in one database only is refused without one', () => {
  expect(() => read('{ "databases": [{ "name": "shop" }], "extensions": ["pg_cron"] }')).toThrow(
    '"pg_cron" can be in one database only',
  );
  expect(() => read('{ "extensions": ["pg_cron"] }')).not.toThrow();
});

test('every example of a new compute.json is valid once its comment sign is taken away', () => {
  const { desired } = read(template.replaceAll(/^ {4}\/\/ (?=[{"])/gm, '    '));
  expect(desired.roles).toHaveLength(2);
  expect(desired.databases).toHaveLength(2);
  expect(desired.extensions).toHaveLength(2);
  expect(Object.keys(desired.settings)).toHaveLength(2);
});

test('editors are told of every member, and that comments are allowed', () => {
  const schema = JSON.parse(schemaText()) as Record<string, Record<string, unknown>>;
  expect(schema['allowComments']).toBe(true);
  expect(Object.keys(schema['properties'] ?? {})).toEqual([
    '$schema',
    'roles',
    'databases',
    'extensions',
    'settings',
  ]);
  expect(schema['additionalProperties']).toBe(false);
  expect(schema['required']).toEqual([]);
});

test('comments and a comma after the last member are read', () => {
  const { desired } = read('// a\n{ "roles": [ { "name": "web" }, /* b */ ], }');
  expect(desired.roles).toEqual([{ name: 'web' }]);
});

const wrong: [string, string, string[]][] = [
  [
    'the place of a syntax error',
    '{\n  "roles": [\n    { "name" "web" }\n  ]\n}',
    ['3:14 : not valid JSON: colon expected'],
  ],
  ['an empty file', '', ['1:1 : not valid JSON: value expected']],
  [
    'an unknown member with what was meant',
    '{\n "databases": [ { "name": "a", "ownr": "b" } ],\n "rolls": [] }',
    [
      '2:32 databases[0].ownr: is not known (did you mean "owner"?)',
      '3:2 rolls: is not known (did you mean "roles"?)',
    ],
  ],
  [
    'a wrong type and a missing member',
    '{ "roles": [ { "name": 5 }, {} ], "settings": [] }',
    [
      '1:16 roles[0].name: expected text, found 5',
      '1:29 roles[1].name: is missing',
      '1:35 settings: expected an object, found a list',
    ],
  ],
  ['a list in the place of the whole', '[]', ['1:1 : expected an object, found a list']],
  [
    'a wrong extension',
    '{ "extensions": [ 5, { "name": "x", "databases": "app" } ] }',
    [
      '1:19 extensions[0]: expected a name, or an object with one, found 5',
      '1:37 extensions[1].databases: expected a list, found "app"',
    ],
  ],
  ['a member that is given twice', '{ "roles": [],\n "roles": [] }', ['1:3 roles: is given twice']],
  [
    'an owner and a database that are not in the file',
    '{ "roles": [ { "name": "web" } ], "databases": [ { "name": "shop", "owner": "wbe" } ],\n "extensions": [ { "name": "hstore", "databases": ["shp"] } ] }',
    [
      '1:68 databases[0].owner: there is no role "wbe" in this file (did you mean "web"?)',
      '2:52 extensions[0].databases[0]: there is no database "shp" in this file (did you mean "shop"?)',
    ],
  ],
  [
    'names that are reserved or there twice',
    '{ "roles": [ { "name": "pg_x" }, { "name": "cloud_admin" }, { "name": "a" }, { "name": "a" } ], "databases": [ { "name": "postgres" } ] }',
    [
      '1:16 roles[0].name: begins with "pg_", which is reserved for PostgreSQL itself',
      '1:36 roles[1].name: "cloud_admin" is a role of compute_ctl itself',
      '1:80 roles[3].name: "a" is there twice',
      '1:114 databases[0].name: "postgres" is a database of PostgreSQL itself',
    ],
  ],
  [
    'settings that belong to the product',
    '{ "settings": { "port": 1, "FSYNC": true, "synchronous_standby_names": "", "recovery_target": "x", "wal_level": "minimal" } }',
    [
      '1:17 settings.port: cannot be given: it is chosen with: compute-local up --port',
      '1:28 settings.FSYNC: cannot be given: with it the storage keeps its promise that no acknowledged commit is lost',
      '1:43 settings.synchronous_standby_names: cannot be given: with it the storage keeps its promise that no acknowledged commit is lost',
      '1:76 settings.recovery_target: cannot be given: the storage decides what is recovered',
      '1:100 settings.wal_level: must be "replica" or "logical": the storage receives the WAL',
    ],
  ],
  [
    'a setting that could begin another line, and one that is there twice in another case',
    '{ "settings": { "a b": 1, "work_mem": "1\\n2", "WORK_MEM": "4MB" } }',
    [
      '1:17 settings["a b"]: is not a name of a setting',
      '1:27 settings.work_mem: must be on one line',
      '1:47 settings.WORK_MEM: is given twice: PostgreSQL ignores case in names of settings',
    ],
  ],
  [
    'names of settings that cannot stand in postgresql.conf',
    '{ "settings": { "a$b": 1, "a.b.c": 1, "include": "/tmp/x", "include_dir": "/tmp" } }',
    [
      '1:17 settings["a$b"]: is not a name of a setting',
      '1:27 settings["a.b.c"]: is not a name of a setting',
      '1:39 settings.include: cannot be given: it is not a setting: it would read another file',
      '1:60 settings.include_dir: cannot be given: it is not a setting: it would read another file',
    ],
  ],
  [
    'a number that JSON has rounded, and too few senders in another notation',
    '{ "settings": { "my.id": 12345678901234567890, "max_wal_senders": "0x3" } }',
    [
      '1:17 settings["my.id"]: has more digits than a number of JSON keeps: write it as text',
      '1:48 settings.max_wal_senders: must be 5 or more: the storage and replicas use some',
    ],
  ],
  [
    'a database that an extension names twice',
    '{ "extensions": [ { "name": "hstore", "databases": ["app", "app"] } ] }',
    ['1:60 extensions[0].databases[1]: "app" is there twice'],
  ],
  [
    'a day that its month does not have',
    '{ "roles": [ { "name": "a", "valid_until": "2027-02-29" }, { "name": "b", "valid_until": "2028-02-29" } ] }',
    ['1:29 roles[0].valid_until: is not a time such as "2027-01-31 12:00:00Z"'],
  ],
];

test.each(wrong)('says %s', (_, text, expected) => {
  expect(problems(text)).toEqual(expected);
});

test('a password in the file is refused, with the way to the one that was generated, and not shown', () => {
  const [problem] = problems('{ "roles": [ { "name": "web", "password": "geheim" } ] }');
  expect(problem).toContain('compute-local url --role NAME');
  expect(problem).not.toContain('geheim');
});

test('a file that is nested too deeply is an error like others', () => {
  expect(problems('['.repeat(200_000))[0]).toContain('not valid JSON');
});

test.each([500, 1500, 2500, 3500, 5000, 7000])('a file with %i levels is an error like others', (levels) => {
  const [problem] = problems(`{ "x": ${'['.repeat(levels)}${']'.repeat(levels)} }`);
  expect(problem).toMatch(/x: is not known|nested too deeply/);
});
