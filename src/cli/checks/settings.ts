import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConfCheck, type ConfError, checkConf } from '../../postgres/conf-check.ts';
import { isSameSetting } from '../../postgres/conf-syntax.ts';
import { startProblems } from '../../postgres/conf-start.ts';
import { machineRules } from '../../postgres/machine-rules.ts';
import { type RenderedConf, readStrictOvercommit, renderConf } from '../../postgres/conf.ts';
import { confLines } from '../../services/index.ts';
import { isToCome } from '../../services/extensions/find.ts';
import type { Settings } from '../../services/settings.ts';
import type { ResolvedSpec } from '../../spec/resolve.ts';
import { type Finding, type Findings, errors, together, unchecked, warnings } from './finding.ts';

/** More rounds than this are not needed: in each one at least one line of the first kind goes. */
const maxRounds = 20;

/** Lets the PostgreSQL that will run read the `postgresql.conf` that a start would write, in a directory of its own.
 *  @param live also judge what the settings need of this machine
 *  @throws ComputeError `spec_invalid` when it cannot be written; `postgres_start` when PostgreSQL cannot be asked */
export async function checkSettings(
  spec: ResolvedSpec,
  settings: Settings,
  live: boolean,
  signal: AbortSignal,
): Promise<Findings> {
  const dataDir = await mkdtemp(join(tmpdir(), 'compute_ctl.check-'));
  try {
    const { text, notes } = await rendered(spec, settings);
    const { bin, env } = settings;
    const check = { bin, env, dataDir };
    const toCome = isToCome(spec.spec, settings);
    const found = await allErrors(spec, text, check, signal);
    const others = found.errors.length > 0 ? [] : [await ofTheWhole(check, live, toCome, signal)];
    return together([found, warnings(...notes.map((note) => ({ text: note }))), ...others]);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** The `postgresql.conf` that a start would write. @throws ComputeError `spec_invalid` */
export const rendered = async (spec: ResolvedSpec, settings: Settings): Promise<RenderedConf> =>
  renderConf(spec, {
    internalHttpPort: settings.internalHttpPort,
    privilegedRole: settings.privilegedRole,
    tls: settings.tls !== null,
    strictOvercommit: await readStrictOvercommit(),
    subscriptionsDropped: false,
    serviceLines: confLines(spec, settings),
    lakebase: settings.lakebase,
  });

async function ofTheWhole(
  check: ConfCheck,
  live: boolean,
  toCome: (library: string) => boolean,
  signal: AbortSignal,
): Promise<Findings> {
  const about = { ...check, isEmpty: true, walSegmentBytes: null, more: live ? machineRules : [], toCome };
  const found = await startProblems(about, signal);
  return together([errors(...found.problems), unchecked(...found.unchecked)]);
}

/** PostgreSQL stops at the first kind of error: lines that it cannot read, then unknown names, then values. So what it has
 *  named is left out, and it reads the rest. */
async function allErrors(
  spec: ResolvedSpec,
  conf: string,
  check: ConfCheck,
  signal: AbortSignal,
): Promise<Findings> {
  const lines = conf.split('\n');
  const wrong: Finding[] = [];
  const missing: Finding[] = [];
  for (let round = 0; round < maxRounds; round++) {
    await writeFile(join(check.dataDir, 'postgresql.conf'), lines.join('\n'));
    let removed = 0;
    for (const error of await checkConf(check, signal)) {
      if (isOwnInclude(error, check.dataDir)) {
        missing.push(includeOf(error, check.dataDir));
        removed += removeIncludes(lines);
        continue;
      }
      const line = placeOf(error, check.dataDir);
      wrong.push({
        text: described(spec, error, line === null ? null : { line, text: lines[line - 1] ?? '' }),
      });
      if (line === null) continue;
      lines[line - 1] = '';
      removed++;
    }
    if (removed === 0) break;
  }
  return together([errors(...wrong), warnings(...missing)]);
}

/** A file in the data directory, which is empty here. */
const isOwnInclude = ({ sqlState, words }: ConfError, dataDir: string): boolean =>
  sqlState.startsWith('58') && words.includes(`"${dataDir}/`);

const includeOf = ({ words }: ConfError, dataDir: string): Finding => ({
  text: `spec.cluster.postgresql_conf includes a file of the data directory, without which Postgres does not start: ${words.replaceAll(`${dataDir}/`, '')}`,
  hint: 'make sure that the file comes with the base backup, or write its lines into the spec',
});

function removeIncludes(lines: string[]): number {
  const found = lines.flatMap((line, at) => (/^\s*include(_dir)?[\s=']/i.test(line) ? [at] : []));
  for (const at of found) lines[at] = '';
  return found.length;
}

const inFile = / in file "(.*)" line (\d+)/;

function placeOf({ words }: ConfError, dataDir: string): number | null {
  const [, file, line] = inFile.exec(words) ?? [];
  return file === join(dataDir, 'postgresql.conf') ? Number(line) : null;
}

/** With its place in the spec instead of the one in a file that nobody can see. */
function described(
  { spec: { cluster } }: ResolvedSpec,
  { words }: ConfError,
  place: { readonly line: number; readonly text: string } | null,
): string {
  const said = place === null ? words : words.replace(inFile, '');
  const inHead = cluster.postgresql_conf?.reveal().split('\n').length ?? 0;
  if (place !== null && place.line <= inHead)
    return `spec.cluster.postgresql_conf, line ${place.line}: ${said}`;
  const name = place === null ? /parameter "([^"]+)"/.exec(words)?.[1] : /^[^\s=]+/.exec(place.text)?.[0];
  const at =
    name === undefined ? -1 : (cluster.settings?.findLastIndex((one) => isSameSetting(one.name, name)) ?? -1);
  if (at !== -1) return `spec.cluster.settings[${at}] (${name}): ${said}`;
  return `${inHead > 0 ? 'spec.cluster.postgresql_conf' : 'postgresql.conf'}: ${said}`;
}
