import { readFile } from 'node:fs/promises';
import { type WriteOptions, writeAtomically } from '../process/files.ts';

/** Makes sure that a text has a line: whole lines are compared, without their line ends. If absent it is appended after a
 *  line break and without one of its own; so a text that already ends in a line break gets an empty line in between.
 *  @param isIt whether another line counts as this one. Default: the same text
 *  @returns the new text; null when the line is already there */
export function withLine(
  text: string | null,
  line: string,
  isIt = (other: string) => other === line,
): string | null {
  if (text === null || text === '') return line;
  if (text.split('\n').some((other) => isIt(other.replace(/\r$/, '')))) return null;
  return `${text}\n${line}`;
}

/** `withLine` for a file, which is replaced atomically. A missing file is created.
 *  @returns whether the file was changed */
export async function ensureLine(
  path: string,
  line: string,
  options: WriteOptions,
  isIt?: (other: string) => boolean,
): Promise<boolean> {
  const changed = withLine(await readText(path), line, isIt);
  if (changed !== null) writeAtomically(path, changed, options);
  return changed !== null;
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
