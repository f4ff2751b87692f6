import {
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { withDirectory } from '../../../src/process/dir-fd.ts';
import { ownDir } from '../../../src/process/files.ts';
import { type Made, holdsMade, madeFile, removeFilesSync, removeMade } from '../../../src/process/made.ts';

const made: readonly Made[] = [
  { name: /^data$/, is: 'tree' },
  { name: /^log$/, is: [madeFile('a.log')] },
  { name: /^current$/, is: 'link' },
  { name: /^proven$/, is: 'tree', when: (dir) => readdirSync(`/proc/self/fd/${dir}`).includes('proof') },
  madeFile('state.json'),
];

function freshDir(): string {
  const path = mkdtempSync(join(tmpdir(), 'made-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function put(dir: string, ...files: readonly string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), file);
  }
}

const remove = (dir: string): Promise<string[]> => withDirectory(dir, (fd) => removeMade(fd, made, never));
const holds = (dir: string): Promise<boolean> => withDirectory(dir, async (fd) => holdsMade(fd, made));

test('only what is listed is removed, and the paths of all else are returned', async () => {
  const dir = freshDir();
  put(dir, 'state.json', 'state.json.new', 'stateXjson', 'data/a/b', 'log/a.log', 'log/b.log', 'notes/x');
  expect(await holds(dir)).toBe(true);
  expect((await remove(dir)).toSorted()).toEqual(['log/b.log', 'notes', 'stateXjson']);
  expect(readdirSync(dir).toSorted()).toEqual(['log', 'notes', 'stateXjson']);
  expect(readdirSync(join(dir, 'log'))).toEqual(['b.log']);
  expect(await holds(dir)).toBe(false);
});

test.runIf(process.getuid?.() === 0)('what belongs to another user stays, whatever its name is', async () => {
  const dir = freshDir();
  put(dir, 'state.json', 'data/a', 'log/a.log');
  symlinkSync('nowhere', join(dir, 'current'));
  const nobody = 65_534;
  for (const path of ['state.json', 'data', 'log/a.log', 'current'])
    lchownSync(join(dir, path), nobody, nobody);
  expect((await remove(dir)).toSorted()).toEqual(['current', 'data', 'log/a.log', 'state.json']);
  expect(readdirSync(join(dir, 'data'))).toEqual(['a']);
});

test('a name with another kind of entry is not ours, and no link is followed', async () => {
  const [dir, beyond] = [freshDir(), freshDir()];
  put(beyond, 'a.log', 'x');
  put(dir, 'current', 'state.json/x');
  symlinkSync(beyond, join(dir, 'data'));
  symlinkSync(beyond, join(dir, 'log'));
  expect((await remove(dir)).toSorted()).toEqual(['current', 'data', 'log', 'state.json']);
  expect(readdirSync(beyond).toSorted()).toEqual(['a.log', 'x']);
  expect(lstatSync(join(dir, 'log')).isSymbolicLink()).toBe(true);
});

test('a directory without its proof stays whole', async () => {
  const dir = freshDir();
  put(dir, 'proven/x');
  expect(await holds(dir)).toBe(false);
  expect(await remove(dir)).toEqual(['proven']);
  put(dir, 'proven/proof');
  expect(await remove(dir)).toEqual([]);
  expect(readdirSync(dir)).toEqual([]);
});

test('the files of a directory go, and the directory only when nothing else is in it', () => {
  const dir = freshDir();
  const below = join(dir, 'below');
  put(below, 'a.log', 'a.log.new', 'b.log');
  removeFilesSync(below, [madeFile('a.log')]);
  expect(readdirSync(below)).toEqual(['b.log']);
  removeFilesSync(below, [madeFile('b.log')]);
  expect(existsSync(below)).toBe(false);
  removeFilesSync(below, [madeFile('b.log')]);
});

test('a directory is created with those above it, and a file in the way is an error', () => {
  const dir = freshDir();
  ownDir(join(dir, 'a/b/c'), 0o700);
  expect(lstatSync(join(dir, 'a/b/c')).mode & 0o777).toBe(0o700);
  ownDir(join(dir, 'a/b/c'), 0o700);
  put(dir, 'file');
  expect(() => ownDir(join(dir, 'file'), 0o700)).toThrow('EEXIST');
  expect(() => ownDir(join(dir, 'file/below'), 0o700)).toThrow('EEXIST');
  expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('file');
});
