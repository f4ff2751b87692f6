import { expect, test } from 'vitest';
import { validateCatalog } from '../../../src/catalog/validate.ts';
import { inputFor } from '../../pg/catalog/support.ts';
import type { PgTarget } from '../../../src/pg/target.ts';

const target: PgTarget = {
  host: 'h',
  port: 1,
  user: 'cloud_admin',
  password: null,
  database: 'postgres',
  options: '',
};
const faults = (parts: Parameters<typeof inputFor>[1]): string[] =>
  validateCatalog(inputFor(target, parts)).map(({ path, message }) => `${path}: ${message}`);
const hex = '0123456789abcdef0123456789abcdef';

test('a sound spec has no problems', () => {
  expect(
    faults({
      roles: [
        {
          name: 'x'.repeat(63),
          encrypted_password: hex,
          options: [{ name: 'CONNECTION LIMIT', value: '5', vartype: 'integer' }],
        },
        { name: ' "; \\', encrypted_password: null },
      ],
      databases: [
        { name: 'd', owner: 'a', options: [{ name: 'TEMPLATE', value: 'template0', vartype: 'enum' }] },
      ],
      delta_operations: [
        { action: 'rename_db', name: 'a', new_name: 'b' },
        { action: 'no such thing', name: '' },
      ],
    }),
  ).toEqual([]);
});

test('every problem is reported with its path, and none of them shows a password', () => {
  const found = faults({
    roles: [
      { name: 'a', encrypted_password: `md5${hex}` },
      { name: 'a', encrypted_password: hex.toUpperCase() },
      { name: 'pg_mine', encrypted_password: 'SCRAM-SHA-256$4096:c2FsdA==$short=:short=' },
      { name: 'none' },
      { name: '' },
      { name: 'é'.repeat(40) },
      { name: 'neon_superuser' },
      { name: 'o', options: [{ name: 'NOLOGIN', vartype: 'bool' }] },
      { name: 'p', options: [{ name: 'PASSWORD', value: 'hidden', vartype: 'string' }] },
      {
        name: 'q',
        options: [
          { name: 'CREATEDB', vartype: 'bool' },
          { name: 'nocreatedb', vartype: 'bool' },
        ],
      },
      { name: 'r', options: [{ name: 'IN ROLE', value: 'a; drop role b', vartype: 'enum' }] },
    ],
    databases: [
      { name: 'd', owner: 'a', options: [{ name: 'OWNER', value: 'b', vartype: 'enum' }] },
      { name: 'd', owner: 'dropped' },
      { name: 'a\0b', owner: '' },
    ],
    delta_operations: [
      { action: 'rename_role', name: 'a' },
      { action: 'rename_db', name: 'postgres', new_name: 'b' },
      { action: 'delete_role', name: 'dropped' },
      { action: 'delete_role', name: 'cloud_admin' },
    ],
  });
  expect(found).toEqual([
    expect.stringMatching(/^spec\.cluster\.roles\[0\]\.encrypted_password: is neither .* without its prefix/),
    'spec.cluster.roles[1].name: "a" is also spec.cluster.roles[0].name',
    expect.stringMatching(/^spec\.cluster\.roles\[1\]\.encrypted_password: is neither/),
    expect.stringMatching(/^spec\.cluster\.roles\[2\]\.name: begins with "pg_"/),
    'spec.cluster.roles[2].encrypted_password: is not a well-formed SCRAM-SHA-256 verifier',
    expect.stringMatching(/^spec\.cluster\.roles\[3\]\.name: is a reserved word/),
    'spec.cluster.roles[4].name: is empty',
    'spec.cluster.roles[5].name: is 80 bytes long, more than 63',
    expect.stringMatching(/^spec\.cluster\.roles\[6\]\.name: is the privileged role/),
    expect.stringMatching(/^spec\.cluster\.roles\[7\]\.options\[0\]: contradicts/),
    expect.stringMatching(/^spec\.cluster\.roles\[8\]\.options\[0\]: a password belongs/),
    expect.stringMatching(/^spec\.cluster\.roles\[9\]\.options\[1\]: is given twice/),
    expect.stringMatching(/^spec\.cluster\.roles\[10\]\.options\[0\]: a value that is not/),
    expect.stringMatching(/^spec\.cluster\.databases\[0\]\.options\[0\]: the owner/),
    'spec.cluster.databases[1].name: "d" is also spec.cluster.databases[0].name',
    'spec.cluster.databases[2].name: contains a NUL character',
    'spec.cluster.databases[2].owner: is empty',
    'spec.delta_operations[0].new_name: is missing, and rename_role needs it',
    'spec.delta_operations[1].name: is the system database',
    'spec.delta_operations[2].name: is deleted, but owns spec.cluster.databases[1]',
    'spec.delta_operations[3].name: is a role that compute_ctl itself needs',
  ]);
  expect(found.join('\n')).not.toMatch(/hidden|0123456789|short=/i);
});
