import type { Log } from '../../core/log.ts';
import { missing, readBranch } from '../branches/tree.ts';
import type { SleepNow } from '../front/sleep-now.ts';
import { mainName } from '../names.ts';
import type { Report } from '../report.ts';
import type { LocalDir } from '../state.ts';
import type { StatusReport } from '../status/schema.ts';
import type { Field, Plan } from './model.ts';
import type { Tree } from './tree-model.ts';

/** What decides which actions there are. */
export interface Facts {
  readonly report: StatusReport;
  /** The main compute sleeps when nobody uses it. */
  readonly sleeps: boolean;
  readonly tree: Tree | null;
  readonly plan: Plan | null;
}

export interface ActionContext {
  readonly dir: LocalDir;
  /** Where the programs of PostgreSQL are, as `up` was told. */
  readonly pgBinDir: string | null;
  readonly sleepNow: SleepNow;
  /** Its events are those of `up`, its progress is on the page. */
  readonly report: Report;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export type Fields = Readonly<Record<string, string>>;

export interface Action {
  readonly title: string;
  readonly doc: string;
  readonly dangerous: boolean;
  /** The names of computes that it is offered for; an empty one: it is about everything. */
  readonly targets: (facts: Facts) => readonly string[];
  /** What is asked for. */
  readonly fields?: (facts: Facts) => readonly Field[];
  /** What it would do. */
  readonly lines?: (facts: Facts) => readonly string[];
  /** It is about what the plan shows. */
  readonly readsPlan?: true;
  /** It does not wait for the others. */
  readonly atOnce?: true;
  /** @returns what was done */
  run(context: ActionContext, target: string, fields: Fields): Promise<string>;
}

/** The directory of main or a branch. @throws ComputeError `not_found` */
export function dirOf(dir: LocalDir, name: string): LocalDir {
  if (name === mainName) return dir;
  const branch = readBranch(dir, name);
  if (branch === null) throw missing(dir, name);
  return branch.dir;
}
