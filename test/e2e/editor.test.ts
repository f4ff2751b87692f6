import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openInEditor } from '../support/editor.ts';
import { startProgram } from '../support/program.ts';
import { memoryDir } from '../support/scratch.ts';

// compute.json as `init` writes it, in an editor. The program has the schema in it: nothing but what it wrote is read.

let dir: string;
let file: string;
let made: { readonly file: string; readonly schema: string };
beforeAll(async () => {
  dir = memoryDir();
  file = join(dir, 'compute.json');
  const program = startProgram('compute-local', ['init', '--dir', dir, '--json']);
  await program.exited();
  made = JSON.parse(program.stdout()) as typeof made;
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const withExamples = (): string => readFileSync(file, 'utf8').replaceAll(/^( *)\/\/ (["{].*)$/gm, '$1$2');

test('an editor marks nothing in a new compute.json, nor when its examples are taken', async () => {
  expect([made.file, dirname(made.schema)]).toEqual([file, dir]);
  expect(await openInEditor(file).marked()).toEqual([]);
  expect(withExamples()).toContain('\n    { "name": "web" },');
  expect(await openInEditor(file, withExamples()).marked()).toEqual([]);
});

test('an editor offers the members with their descriptions', async () => {
  const text = `{
  "$schema": "./compute.schema.json",
  "roles": [{ /*role*/ }],
  "databases": [{ "name": "shop", /*database*/ }],
  "extensions": [{ /*extension*/ }],
  /*top*/
}`;
  const editor = openInEditor(file, text);
  const role = await editor.offered('/*role*/');
  expect(Object.keys(role).toSorted()).toEqual([
    'bypassrls',
    'connection_limit',
    'createdb',
    'createrole',
    'inherit',
    'name',
    'replication',
    'valid_until',
  ]);
  const database = await editor.offered('/*database*/');
  expect(Object.keys(database).toSorted()).toEqual(['encoding', 'locale', 'owner', 'template']);
  const extension = await editor.offered('/*extension*/');
  expect(Object.keys(extension).toSorted()).toEqual(['databases', 'name', 'version']);
  const top = await editor.offered('/*top*/');
  expect(Object.keys(top)).toEqual(['settings']);
  for (const description of [role, database, extension, top].flatMap((one) => Object.values(one)))
    expect(description).not.toBe('');
  expect(role['connection_limit']).toBe('Most connections at a time; -1 for no limit.');
  expect(await editor.shown('databases')).toMatch(/The database \\?`app\\?` is always there/);
});

test('an editor marks a wrong member and a wrong value where they stand', async () => {
  const text = `{
  "$schema": "./compute.schema.json",
  "roles": [{ "name": "web", "conection_limit": 5 }, { "name": 7 }, {}],
  "databases": { "name": "shop" },
  "settings": { "work_mem": ["64MB"] },
}`;
  const marked = await openInEditor(file, text).marked();
  expect(marked.map(({ at }) => at.slice(0, 18)).toSorted()).toEqual(
    ['"conection_limit":', '7 }, {}],', '{}],', '{ "name": "shop" }', '["64MB"] },'].toSorted(),
  );
  expect(marked.find(({ at }) => at.startsWith('"con'))?.message).toContain('conection_limit');
});

test('an editor finds no schema that is not beside the file, and says so', async () => {
  const elsewhere = openInEditor(join(dir, 'sub', 'compute.json'), readFileSync(file, 'utf8'));
  const [first] = await elsewhere.marked();
  expect(first?.at).toContain('./compute.schema.json');
});
