import { buildVersion } from '../../core/build.ts';
import { elapsedMs, monotonicMs, within } from '../../core/clock.ts';
import { repeat } from '../../core/retry.ts';
import { type LocalDir, dirOption } from '../state.ts';
import { collectStatus } from '../status/collect.ts';
import type { StatusReport } from '../status/schema.ts';
import { offersOf } from './actions.ts';
import { askDetails, askFigures } from './ask.ts';
import { checklist } from './checklist.ts';
import { noDetails } from './details.ts';
import { FiguresOf } from './figures.ts';
import { keptSizes } from './kept-sizes.ts';
import { Logs } from './logs.ts';
import type { Details, Messages, Model, Plan, Sample } from './model.ts';
import type { Tree } from './tree-model.ts';
import { ownValue } from './own-value.ts';
import { acceptedIn, pendingPlan, planKey } from './plan.ts';
import { withSample } from './samples.ts';
import type { SleepTimes } from './sleep-times.ts';
import { readTree, treeKey } from './tree.ts';
import { Watching } from './watching.ts';

/** Between two looks. */
const everyMs = 2000;
/** What changes seldom is asked for with each fifth look, and when something else has changed. */
const detailsEvery = 5;
const logsMs = 500;
/** The disk is counted. */
const sizesMs = 30_000;
/** A page that is loaded again misses nothing. */
const lingerMs = 20_000;
/** The others wait for the plan. */
const planMs = 500;
/** Of the time of this process: a big directory takes long to be counted. */
const mostOfTime = 0.2;

type Publish = <N extends 'model' | 'sample' | 'log'>(name: N, data: Messages[N]) => void;

/** Looks at everything as long as somebody watches: a compute that nobody looks at is asked nothing. */
export class Observer {
  readonly #dir: LocalDir;
  readonly #publish: Publish;
  readonly #sleeps: SleepTimes;
  readonly #closed: AbortSignal;
  readonly #logs = new Logs();
  readonly #sizes = keptSizes(sizesMs);
  #samples: readonly Sample[] = [];
  readonly #figures = new Map<string, FiguresOf>();
  #details: Readonly<Record<string, Details>> = {};
  #model: Model | null = null;
  #tree: { readonly key: string; readonly tree: Tree | null } | null = null;
  #planning: Promise<void> | null = null;
  #plan: { readonly key: string; readonly plan: Plan } | null = null;
  #looks = 0;
  readonly #watching: Watching;

  constructor(dir: LocalDir, publish: Publish, sleeps: SleepTimes, closed: AbortSignal) {
    this.#dir = dir;
    this.#sleeps = sleeps;
    this.#publish = publish;
    this.#closed = closed;
    this.#watching = new Watching((signal) => this.#watch(signal), lingerMs, closed);
  }

  full(): Messages['full'] {
    return { model: this.#model, samples: this.#samples, logs: this.#logs.lines() };
  }

  /** @param clients how many watch */
  watchedBy(clients: number): void {
    this.#watching.watchedBy(clients);
  }

  /** Something was done: the next look asks for everything. */
  touch(): void {
    this.#looks = 0;
  }

  /** Resolves when no look is under way. */
  async ended(): Promise<void> {
    await this.#watching.ended();
    await this.#planning;
  }

  #watch(signal: AbortSignal): Promise<unknown> {
    // Rates over the time in which nobody looked would say nothing.
    this.#figures.clear();
    return Promise.all([
      repeat(
        () => this.#look(),
        signal,
        () => everyMs,
      ),
      repeat(() => this.#readLogs(), signal),
    ]);
  }

  async #look(): Promise<number> {
    const startMs = monotonicMs();
    const before = performance.eventLoopUtilization();
    const report = await collectStatus(this.#dir, this.#sizes);
    // Without the time in which it waited for one that hangs.
    const { active: statusMs } = performance.eventLoopUtilization(before);
    this.#logs.follow(report);
    await this.#readLogs();
    const due = this.#looks++ % detailsEvery === 0;
    await Promise.all([this.#sample(report), this.#askDetails(report, due), this.#readPlan(report, due)]);
    const tookMs = statusMs + this.#readTree(due);
    this.#model = this.#modelOf(report);
    this.#publish('model', this.#model);
    return Math.max(everyMs - elapsedMs(startMs), tookMs / mostOfTime - tookMs, 0);
  }

  async #sample({ computes }: StatusReport): Promise<void> {
    const figures = computes.map(async (compute) => {
      const counted = await askFigures(this.#dir, compute);
      const of = this.#figures.get(compute.name) ?? new FiguresOf();
      this.#figures.set(compute.name, of);
      return [compute.name, of.next(compute, counted)] as const;
    });
    const sample = { at: Date.now(), computes: Object.fromEntries(await Promise.all(figures)) };
    this.#samples = withSample(this.#samples, sample);
    this.#publish('sample', sample);
  }

  /** @returns how long that took, in milliseconds: nothing else is done meanwhile */
  #readTree(due: boolean): number {
    const startMs = monotonicMs();
    const key = treeKey(this.#dir);
    if (due || this.#tree?.key !== key) this.#tree = { key, tree: readTree(this.#dir) };
    return elapsedMs(startMs);
  }

  /** A Postgres that hangs must not keep back what is known: its plan comes with a later look. */
  async #readPlan({ computes }: StatusReport, due: boolean): Promise<void> {
    const key = JSON.stringify([planKey(this.#dir), computes.map(({ state }) => state)]);
    if (this.#planning === null && (due || this.#plan?.key !== key))
      this.#planning = pendingPlan(this.#dir, this.#closed)
        .then(
          (plan) => void (this.#plan = { key, plan }),
          // Nobody wants it any more.
          () => {},
        )
        .finally(() => (this.#planning = null));
    await within(this.#planning ?? Promise.resolve(), planMs, this.#closed);
  }

  async #askDetails(report: StatusReport, due: boolean): Promise<void> {
    const { report: before = null } = this.#model ?? {};
    const accepted = acceptedIn(this.#dir);
    const asked = report.computes.map(async (compute) => {
      const earlier = before?.computes.find(({ name }) => name === compute.name);
      const isSame = earlier?.state === compute.state && earlier.compute_ctl_pid === compute.compute_ctl_pid;
      const known = ownValue(this.#details, compute.name) ?? noDetails;
      // Until the end of a start, everything may have changed.
      const moves = compute.state === 'running' && known.status !== 'running';
      return [
        compute.name,
        due || !isSame || moves ? await askDetails(this.#dir, compute, accepted, known) : known,
      ] as const;
    });
    this.#details = Object.fromEntries(await Promise.all(asked));
  }

  #readLogs(): Promise<number> {
    const news = this.#logs.read();
    for (const each of news) this.#publish('log', each);
    return Promise.resolve(logsMs);
  }

  #modelOf(report: StatusReport): Model {
    const [tree, plan] = [this.#tree?.tree ?? null, this.#plan?.plan ?? null];
    return {
      at: new Date().toISOString(),
      version: buildVersion,
      dirOption: dirOption(this.#dir),
      report,
      checks: checklist(report, this.#details),
      details: this.#details,
      history: this.#logs.history(),
      sleeps: this.#sleeps.all,
      ...{ tree, plan },
      offers: offersOf({ report, sleeps: this.#sleeps.canSleep, tree, plan }),
    };
  }
}
