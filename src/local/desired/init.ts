import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ComputeError } from '../../core/errors.ts';
import { writeDurable } from '../../process/files.ts';
import { ownRoot } from '../own-root.ts';
import type { LocalDir } from '../state.ts';
import type { Answer } from './answer.ts';
import { schemaText } from './json-schema.ts';
import { freshBeside, schemaName } from './names.ts';
import { commandWith, danglingTarget, fileOf } from './read.ts';
import { template } from './template.ts';

/** Writes a compute.json, and beside it the description that its `$schema` names. A file that is there stays; the description
 *  is that of this version.
 *  @returns the exit code
 *  @throws ComputeError `dir_refused`, `conflict`, `system` */
export async function init(dir: LocalDir, given: string | null, answer: Answer): Promise<number> {
  const file = fileOf(dir, given);
  const target = danglingTarget(file);
  if (target !== null)
    throw new ComputeError('conflict', `${file} is a link to ${target}, which is not there`, {
      hint: 'remove the link, or name another file with --file',
    });
  await ownRoot(dir);
  const schema = join(dirname(file), schemaName);
  const created = !existsSync(file);
  try {
    // It is not a secret, and an editor may run as another user.
    writeDurable(schema, schemaText(), { mode: 0o644 });
    if (created) writeDurable(file, template, { mode: 0o644, fresh: freshBeside(file) });
  } catch (cause) {
    throw new ComputeError('system', `could not write ${file}`, { cause });
  }
  const next = [
    created ? `Wrote ${file}.` : `${file} is there already, and stays as it is.`,
    `Edit it, then: ${commandWith(dir, 'plan', given)}`,
    `          and: ${commandWith(dir, 'apply', given)}`,
  ];
  for (const line of next) answer.progress(line);
  answer.result({ file, schema, created }, file);
  return 0;
}
