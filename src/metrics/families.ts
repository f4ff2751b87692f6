import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import {
  type CounterName,
  type GaugeName,
  type HistogramName,
  type MetricDefinition,
  type MetricName,
  metricDefinitions,
} from './definitions.ts';

/** Returns the value at a scrape, for values that change without an event. */
export type Read = () => number;

/** prom-client's metrics, made from the definitions. */
export class Families {
  readonly #registry = new Registry();
  readonly #reads: ReadonlyMap<MetricName, Read>;
  readonly #metrics: ReadonlyMap<MetricName, Counter | Gauge | Histogram>;

  /** @param reads looked up again at every scrape */
  constructor(reads: ReadonlyMap<MetricName, Read>) {
    this.#reads = reads;
    const names = Object.keys(metricDefinitions) as MetricName[];
    this.#metrics = new Map(names.map((name) => [name, this.#create(name)]));
  }

  counter = (name: CounterName): Counter => this.#metrics.get(name) as Counter;
  gauge = (name: GaugeName): Gauge => this.#metrics.get(name) as Gauge;
  histogram = (name: HistogramName): Histogram => this.#metrics.get(name) as Histogram;

  /** Text format 0.0.4, families in the order of their definitions, without blank lines and without those that have no sample. */
  async render(): Promise<string> {
    const names = [...this.#metrics.keys()];
    const texts = await Promise.all(names.map((name) => this.#registry.getSingleMetricAsString(name)));
    return texts.map((text) => (hasSample(text) ? `${text}\n` : '')).join('');
  }

  #create(name: MetricName): Counter | Gauge | Histogram {
    const { type, help, labels, buckets = [] }: MetricDefinition = metricDefinitions[name];
    const options = { name, help, labelNames: labels, registers: [this.#registry] };
    const read = (): number | null => this.#reads.get(name)?.() ?? null;
    if (type === 'histogram') {
      const histogram = new Histogram({ ...options, registers: [], buckets: [...buckets] });
      this.#registry.registerMetric(inOrder(name, histogram));
      return histogram;
    }
    if (type === 'counter') return new Counter({ ...options, collect: raiseTo(read) });
    return new Gauge({
      ...options,
      collect() {
        const value = read();
        if (value !== null) this.set(value);
      },
    });
  }
}

/** A counter shows the highest value that was ever read. */
function raiseTo(read: () => number | null): (this: Counter) => void {
  let highest = 0;
  return function collect() {
    const value = read() ?? 0;
    if (value > highest) this.inc(value - highest);
    highest = Math.max(highest, value);
  };
}

const hasSample = (text: string): boolean => text.split('\n', 3).length === 3;

/** What a registry reads of a histogram to write it: labels in the order of their names, where prom-client has `le` first. */
function inOrder(name: string, histogram: Histogram): Histogram {
  const get = async (): Promise<object> => {
    const metric = await histogram.get();
    const values = metric.values.map((sample) => ({
      ...sample,
      labels: Object.fromEntries(Object.entries(sample.labels).sort(([a], [b]) => (a < b ? -1 : 1))),
      // In whole millionths: without the drift of a sum of fractions, and never written with an exponent.
      value: Math.round(sample.value * 1e6) / 1e6,
    }));
    return { ...metric, values };
  };
  return { name, get } as unknown as Histogram;
}
