import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { writeAtomically } from '../../process/files.ts';
import type { RemoteExtensions } from '../../spec/schema.ts';
import type { Places } from './places.ts';

/** Writes the control files of all extensions that may be downloaded, by which PostgreSQL knows them before they are. One that
 *  exists is left as it is.
 *  @throws ComputeError `download`: it cannot be written; `spec_invalid`: its name leads elsewhere */
export function writeControlFiles(spec: RemoteExtensions, { share }: Places, log: Log): void {
  for (const [extension, { control_data: files }] of Object.entries(spec.extension_data)) {
    if (!isOffered(spec, extension)) continue;
    for (const [name, text] of Object.entries(files)) write(join(share, checked(name)), text, log);
  }
}

/** As in the original, wider than what may be downloaded: with one of the lists missing, all are. */
function isOffered({ public_extensions, custom_extensions }: RemoteExtensions, extension: string): boolean {
  if (public_extensions === null || custom_extensions === null) return true;
  return public_extensions.includes(extension) || custom_extensions.includes(extension);
}

function checked(name: string): string {
  if (/^[^/\0]+\.control$/.test(name)) return name;
  throw new ComputeError(
    'spec_invalid',
    `spec.remote_extensions.extension_data: ${JSON.stringify(name)} is not the name of a control file`,
  );
}

function write(path: string, text: string, log: Log): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined)
    return log.debug(`${path} exists already, and stays as it is`);
  try {
    writeAtomically(path, text, { mode: 0o644 });
  } catch (cause) {
    throw new ComputeError('download', `could not write the control file ${path}`, {
      cause,
      hint: 'the OS user must be able to write to the directory of PostgreSQL’s extensions',
    });
  }
}
