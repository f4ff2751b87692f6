import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { workThrough } from '../core/queue.ts';
import { type ConfCheck, readConfSetting } from './conf-check.ts';
import {
  type Judgement,
  type StartFacts,
  type StartRule,
  isKnownIn,
  joined,
  startRules,
} from './conf-rules.ts';

/** Every installation has this library. */
const known = 'plpgsql.so';
/** Each value is asked of a process of its own. */
const atOnce = 4;

export interface StartCheck extends ConfCheck, Partial<Pick<StartFacts, 'toCome'>> {
  /** As in `StartFacts`. */
  readonly isEmpty: boolean;
  readonly walSegmentBytes: number | null;
  /** More than `startRules`. */
  readonly more?: readonly StartRule[];
  /** The settings that are in question; left out: all. */
  readonly concerns?: (name: string) => boolean;
}

/** What would keep Postgres from starting with these files, although each setting can be used by itself.
 *  @param check its files have no errors of their own
 *  @throws as `readConfSetting` */
export async function startProblems(check: StartCheck, signal: AbortSignal): Promise<Judgement> {
  const {
    bin,
    dataDir,
    isEmpty,
    walSegmentBytes,
    more = [],
    concerns = () => true,
    toCome = () => false,
  } = check;
  const rules = [...startRules, ...more].filter(({ names }) => names.some(concerns));
  const names = new Set(rules.flatMap((rule) => rule.names).filter((name) => isKnownIn(bin.major, name)));
  const values: Record<string, string> = {};
  await workThrough([...names], atOnce, signal, async (name, _, limited) => {
    values[name] = await readConfSetting(check, name, limited);
  });
  const facts = { dataDir, isEmpty, walSegmentBytes, toCome, libdir: libdirOf(bin.path) };
  return joined(await Promise.all(rules.map(async (rule) => rule.judge(values, facts))));
}

function libdirOf(postgres: string): string | null {
  const bindir = dirname(postgres);
  const dirs = [join(bindir, '../lib/postgresql'), join(bindir, '../lib')];
  return dirs.find((dir) => existsSync(join(dir, known))) ?? null;
}
