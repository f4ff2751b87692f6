import {
  type CounterName,
  type GaugeName,
  type HistogramName,
  type LabelArgs,
  type Labels,
  type MetricDefinition,
  type MetricName,
  type Unlabelled,
  metricDefinitions,
} from './definitions.ts';
import type { Families, Read } from './families.ts';

export const metricsContentType = 'text/plain; version=0.0.4';

const definitions: Readonly<Record<MetricName, MetricDefinition>> = metricDefinitions;
/** When this many changes are waiting, prom-client is loaded for them. */
const maxWaiting = 500;

/** The values of all metrics, held by prom-client. The first scrape loads it, so that it does not slow down the start;
 *  earlier changes are kept and applied then. */
export class Metrics {
  readonly #reads = new Map<MetricName, Read>();
  #waiting: ((families: Families) => void)[] = [];
  #loading: Promise<Families> | null = null;
  #families: Families | null = null;

  inc<N extends CounterName>(name: N, ...labels: LabelArgs<N>): void {
    this.add(name, 1, ...labels);
  }

  /** @param by 0 or more; a counter never goes back */
  add<N extends CounterName>(name: N, by: number, ...labels: LabelArgs<N>): void {
    if (!(by >= 0)) throw new RangeError(`${name} cannot count up by ${by}`);
    const all = inOrder(name, labels[0]);
    this.#change((families) => families.counter(name).inc(all, by));
  }

  set<N extends GaugeName>(name: N, value: number, ...labels: LabelArgs<N>): void {
    const all = inOrder(name, labels[0]);
    this.#change((families) => families.gauge(name).set(all, value));
  }

  /** Adds one observation to a histogram, in the unit that its name gives. */
  record<N extends HistogramName>(name: N, value: number, ...labels: LabelArgs<N>): void {
    const all = inOrder(name, labels[0]);
    this.#change((families) => families.histogram(name).observe(all, value));
  }

  /** Replaces all samples of a gauge at once, so that no scrape sees a gap. */
  replace<N extends GaugeName>(
    name: N,
    samples: readonly { readonly labels: Labels<N>; readonly value: number }[],
  ): void {
    this.#change((families) => {
      const gauge = families.gauge(name);
      gauge.reset();
      for (const { labels, value } of samples) gauge.set(inOrder(name, labels), value);
    });
  }

  /** Calls `read` for the value at every scrape. A counter shows the highest value so far. */
  observe(name: Unlabelled, read: Read): void {
    this.#reads.set(name, read);
  }

  /** The text format 0.0.4 of Prometheus. */
  async render(): Promise<string> {
    return (await this.#load()).render();
  }

  #change(change: (families: Families) => void): void {
    if (this.#families !== null) return change(this.#families);
    this.#waiting.push(change);
    if (this.#waiting.length === maxWaiting) void this.#load();
  }

  #load(): Promise<Families> {
    this.#loading ??= import('./families.ts').then((module) => {
      this.#families = new module.Families(this.#reads);
      for (const change of this.#waiting) change(this.#families);
      this.#waiting = [];
      return this.#families;
    });
    return this.#loading;
  }
}

/** prom-client writes labels in the order in which they came. */
const inOrder = (name: MetricName, given: Readonly<Record<string, string>> = {}): Record<string, string> =>
  Object.fromEntries(definitions[name].labels.map((label) => [label, given[label] ?? '']));
