import { linked } from '../../core/abort.ts';
import { buildVersion } from '../../core/build.ts';
import { alarm, elapsedMs, monotonicMs } from '../../core/clock.ts';
import { repeat } from '../../core/retry.ts';
import type { LocalDir } from '../state.ts';
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
import type { SleepTimes } from './sleep-times.ts';
import { readTree, treeKey } from './tree.ts';

/** Between two looks. */
const everyMs = 2000;
/** What changes seldom is asked for with each fifth look, and when something else has changed. */
const detailsEvery = 5;
const logsMs = 500;
/** The disk is counted. */
const sizesMs = 30_000;
/** Half an hour. */
const mostSamples = 900;
/** A page that is loaded again misses nothing. */
const lingerMs = 20_000;
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
  #samples: Sample[] = [];
  readonly #figures = new Map<string, FiguresOf>();
  #details: Readonly<Record<string, Details>> = {};
  #model: Model | null = null;
  #tree: { readonly key: string; readonly tree: Tree | null } | null = null;
  #plan: { readonly key: string; readonly plan: Plan } | null = null;
  #looks = 0;
  #running: { readonly stop: () => void; readonly ended: Promise<unknown> } | null = null;
  #cancelStop = (): void => {};

  constructor(dir: LocalDir, publish: Publish, sleeps: SleepTimes, closed: AbortSignal) {
    this.#dir = dir;
    this.#sleeps = sleeps;
    this.#publish = publish;
    this.#closed = closed;
  }

  full(): Messages['full'] {
    return { model: this.#model, samples: this.#samples, logs: this.#logs.lines() };
  }

  /** @param clients how many watch */
  watchedBy(clients: number): void {
    this.#cancelStop();
    this.#cancelStop = clients > 0 ? () => {} : alarm(lingerMs, () => this.#running?.stop());
    if (clients > 0 && this.#running === null && !this.#closed.aborted) this.#start();
  }

  /** Something was done: the next look asks for everything. */
  touch(): void {
    this.#looks = 0;
  }

  /** Resolves when no look is under way. */
  async ended(): Promise<void> {
    this.#cancelStop();
    this.#running?.stop();
    await this.#running?.ended;
  }

  #start(): void {
    const watching = linked(this.#closed);
    const { signal } = watching;
    // Rates over the time in which nobody looked would say nothing.
    this.#figures.clear();
    const work = [
      repeat(
        () => this.#look(),
        signal,
        () => everyMs,
      ),
      repeat(() => this.#readLogs(), signal),
    ];
    const ended = Promise.all(work).finally(() => {
      watching.release();
      this.#running = null;
    });
    this.#running = { stop: () => watching.abort(), ended };
  }

  async #look(): Promise<number> {
    const startMs = monotonicMs();
    const report = await collectStatus(this.#dir, this.#sizes);
    const tookMs = elapsedMs(startMs);
    this.#logs.follow(report);
    await this.#readLogs();
    const due = this.#looks++ % detailsEvery === 0;
    await Promise.all([this.#sample(report), this.#askDetails(report, due), this.#readPlan(report, due)]);
    this.#readTree(due);
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
    this.#samples = [...this.#samples, sample].slice(-mostSamples);
    this.#publish('sample', sample);
  }

  #readTree(due: boolean): void {
    const key = treeKey(this.#dir);
    if (due || this.#tree?.key !== key) this.#tree = { key, tree: readTree(this.#dir) };
  }

  async #readPlan({ computes }: StatusReport, due: boolean): Promise<void> {
    const key = JSON.stringify([planKey(this.#dir), computes.map(({ state }) => state)]);
    if (!due && this.#plan?.key === key) return;
    this.#plan = { key, plan: await pendingPlan(this.#dir, this.#closed) };
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
