import { type Report, createReport } from '../report.ts';
import { type LocalDir, connectionUrl } from '../state.ts';
import { describe } from './list.ts';
import { findPlace, listBranches } from './tree.ts';

export interface Output {
  readonly json: boolean;
}

/** Progress goes to stderr, since stdout has the result. */
export const progressOf = ({ json }: Output): Report => createReport(process.stderr, json);

/** What a command prints that has no other result. */
export const resultOf = ({ json }: Output): Report => createReport(process.stdout, json);

/** The last line is the URL alone. */
export function printPlace(
  dir: LocalDir,
  name: string,
  { json }: Output,
  fields: Record<string, unknown> = {},
): number {
  const place = findPlace(dir, name);
  const url = connectionUrl(place.state);
  const all = { ...describe(dir, listBranches(dir), place), url, ...fields };
  process.stdout.write(json ? `${JSON.stringify(all)}\n` : `${url}\n`);
  return 0;
}
