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
  /** What was last read of the metrics that are looked at again. */
  readonly #last = new Map<MetricName, number>();
  /** The text of each metric, until it changes: to write them all anew costs half of a scrape. */
  readonly #texts = new Map<MetricName, Promise<string>>();
  #rendered: Promise<string> | null = null;

  /** @param reads looked up again at every scrape */
  constructor(reads: ReadonlyMap<MetricName, Read>) {
    this.#reads = reads;
    const names = Object.keys(metricDefinitions) as MetricName[];
    this.#metrics = new Map(names.map((name) => [name, this.#create(name)]));
  }

  // Whoever asks for one of these is about to change it.
  counter = (name: CounterName): Counter => this.#toChange(name) as Counter;
  gauge = (name: GaugeName): Gauge => this.#toChange(name) as Gauge;
  histogram = (name: HistogramName): Histogram => this.#toChange(name) as Histogram;

  /** Text format 0.0.4, families in the order of their definitions, without blank lines and without those that have no sample. */
  render(): Promise<string> {
    for (const [name, read] of this.#reads) this.#readAgain(name, read());
    this.#rendered ??= this.#write();
    return this.#rendered;
  }

  async #write(): Promise<string> {
    const texts = await Promise.all([...this.#metrics.keys()].map((name) => this.#textOf(name)));
    return texts.map((text) => (hasSample(text) ? `${text}\n` : '')).join('');
  }

  #textOf(name: MetricName): Promise<string> {
    const known = this.#texts.get(name);
    if (known !== undefined) return known;
    const text = this.#registry.getSingleMetricAsString(name);
    this.#texts.set(name, text);
    return text;
  }

  #toChange(name: MetricName): Counter | Gauge | Histogram | undefined {
    this.#texts.delete(name);
    this.#rendered = null;
    return this.#metrics.get(name);
  }

  /** A counter shows the highest value that was ever read. */
  #readAgain(name: MetricName, value: number): void {
    const last = this.#last.get(name);
    if (value === last) return;
    if (metricDefinitions[name].type === 'gauge') this.gauge(name as GaugeName).set(value);
    else if (value > (last ?? 0)) this.counter(name as CounterName).inc(value - (last ?? 0));
    else return;
    this.#last.set(name, value);
  }

  #create(name: MetricName): Counter | Gauge | Histogram {
    const { type, help, labels, buckets = [] }: MetricDefinition = metricDefinitions[name];
    const options = { name, help, labelNames: labels, registers: [this.#registry] };
    if (type === 'histogram') {
      const histogram = new Histogram({ ...options, registers: [], buckets: [...buckets] });
      this.#registry.registerMetric(inOrder(name, histogram));
      return histogram;
    }
    return type === 'counter' ? new Counter(options) : new Gauge(options);
  }
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
