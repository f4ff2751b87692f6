import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { config, replace } from '../../../../src/local/desired/config.ts';
import { edited } from '../../../../src/local/desired/edit.ts';
import { init } from '../../../../src/local/desired/init.ts';
import { leftBeside } from '../../../../src/local/desired/names.ts';
import { freshBeside } from '../../../../src/local/desired/names.ts';
import { readDesired } from '../../../../src/local/desired/read.ts';
import { parseSource } from '../../../../src/local/desired/source.ts';
import { type LocalDir, localDir } from '../../../../src/local/state.ts';

let dir: LocalDir;
let file: string;
beforeEach(() => {
  dir = localDir(mkdtempSync(join(tmpdir(), 'config-')));
  file = join(dir.root, 'compute.json');
});
afterEach(() => rmSync(dir.root, { recursive: true }));

const quiet = { json: true, progress: () => {}, result: () => {} };
const set = (key: string, value: string): Promise<number> =>
  config(dir, { file: null, unset: false }, [key, value], quiet);
const unset = (key: string): Promise<number> => config(dir, { file: null, unset: true }, [key], quiet);

const mark = '\u{feff}';
const small = '{\n  "settings": {\n    "jit": false\n  }\n}\n';

test.each([
  ['the ends of lines of Windows', small.replaceAll('\n', '\r\n')],
  ['tabs', small.replaceAll('  ', '\t')],
  ['no line break at its end', small.trimEnd()],
  ['a byte order mark', mark + small],
])('a file with %s keeps them', async (_what, text) => {
  writeFileSync(file, text);
  await set('settings.work_mem', '8MB');
  const changed = readFileSync(file, 'utf8');
  const eol = text.includes('\r') ? '\r\n' : '\n';
  const indent = text.includes('\t') ? '\t\t' : '    ';
  expect(changed).toBe(text.replace('false', `false,${eol}${indent}"work_mem": "8MB"`));
  expect(readDesired(dir, null).desired.settings).toEqual({ jit: false, work_mem: '8MB' });
  await unset('settings.work_mem');
  expect(readFileSync(file, 'utf8')).toBe(text.replace('false', 'false,'));
});

test("a draft of the user's beside the file stays, and nothing is left behind", async () => {
  writeFileSync(`${file}.new`, 'mine');
  await init(dir, file, quiet).catch(() => {});
  writeFileSync(file, small, { mode: 0o640 });
  await set('settings.work_mem', '8MB');
  expect(readFileSync(`${file}.new`, 'utf8')).toBe('mine');
  expect(readdirSync(dir.root).filter((name) => name.includes('compute.json'))).toEqual([
    'compute.json',
    'compute.json.new',
  ]);
  expect(statSync(file).mode & 0o777).toBe(0o640);
  expect(freshBeside('/a/compute.json').slice('/a/'.length)).toMatch(leftBeside);
});

test('a change that somebody else has written meanwhile is not lost', () => {
  writeFileSync(file, small);
  const { source } = readDesired(dir, null);
  const next = edited(source, ['settings', 'work_mem'], '8MB');
  writeFileSync(file, small.replace('false', 'true'));
  expect(() => replace(dir, source, next)).toThrow('was changed by somebody else meanwhile');
  expect(readdirSync(dir.root)).toEqual(['compute.json']);
  expect(readDesired(dir, null).desired.settings).toEqual({ jit: true });
});

test('a file that is not UTF-8 is refused, and not written with its letters replaced', async () => {
  const latin1 = Buffer.from('{ // gr\u00f6\u00dfer\n "settings": {} }', 'latin1');
  writeFileSync(file, latin1);
  await expect(set('settings.work_mem', '8MB')).rejects.toMatchObject({
    code: 'config_unreadable',
    message: `${file} is not text in UTF-8`,
  });
  expect(readFileSync(file)).toEqual(latin1);
});

test('what cannot be a compute.json is an error without the advice to remove it', () => {
  const said = (): unknown => {
    try {
      return readDesired(dir, null);
    } catch (error) {
      return error;
    }
  };
  const hint = 'name the one that is meant with --file';
  mkdirSync(file);
  expect(said()).toMatchObject({ code: 'config_unreadable', message: `${file} is not a file`, hint });
  rmSync(file, { recursive: true });
  execFileSync('mkfifo', [file]);
  expect(said()).toMatchObject({ code: 'config_unreadable', message: `${file} is not a file`, hint });
  rmSync(file);
  writeFileSync(file, Buffer.alloc(1024 * 1024 + 1, ' '));
  expect(said()).toMatchObject({ code: 'config_unreadable', hint });
  rmSync(file);
  writeFileSync(file, '');
  expect(said()).toMatchObject({ code: 'config_unreadable' });
});

test('a link stays a link, and one that leads nowhere is named as such and not replaced', async () => {
  const target = join(dir.root, 'in-repository.json');
  symlinkSync(target, file);
  expect(() => readDesired(dir, null)).toThrow(`${file} is a link to ${target}, which is not there`);
  await expect(init(dir, file, quiet)).rejects.toMatchObject({ code: 'conflict' });
  expect(lstatSync(file).isSymbolicLink()).toBe(true);
  writeFileSync(target, small);
  await set('settings.jit', 'true');
  expect(lstatSync(file).isSymbolicLink()).toBe(true);
  expect(readFileSync(target, 'utf8')).toBe(small.replace('false', 'true'));
});

test('hostile keys change nothing but a member of that name', async () => {
  writeFileSync(file, small);
  for (const key of ['__proto__.x', 'constructor', 'settings.__proto__', 'roles.__proto__.superuser'])
    await expect(set(key, 'true')).rejects.toMatchObject({ code: 'spec_invalid' });
  await set('roles["__proto__"]', '{}');
  await set('roles["we\\"b"].createdb', 'false');
  expect(readDesired(dir, null).desired.roles).toEqual([
    { name: '__proto__' },
    { name: 'we"b', createdb: false },
  ]);
  expect(parseSource(file, readFileSync(file, 'utf8')).value).toMatchObject({ settings: { jit: false } });
});
