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
/** So many changes are kept until prom-client is loaded for them. */
const maxWaiting = 500;

/** The values of all metrics, which prom-client holds. It is loaded by the first scrape, so that it costs the start
 *  nothing; changes of before are kept and made then. */
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

  /** One more observation of a histogram, in the unit that its name tells. */
  record<N extends HistogramName>(name: N, value: number, ...labels: LabelArgs<N>): void {
    const all = inOrder(name, labels[0]);
    this.#change((families) => families.histogram(name).observe(all, value));
  }

  /** All samples of a gauge at once: those that are not given are gone, and no scrape sees a gap. */
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

  /** Lets `read` give the value at every scrape, for figures that grow by themselves. A counter shows the highest value. */
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
