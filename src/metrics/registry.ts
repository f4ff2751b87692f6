import type { Histogram as PromHistogram } from 'prom-client';
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
import { Distribution } from './histogram.ts';

export const metricsContentType = 'text/plain; version=0.0.4';

interface Sample {
  /** Keys in the order of their names. */
  readonly labels: Readonly<Record<string, string>>;
  value: number;
  /** Of a histogram, in place of the value. */
  distribution?: Distribution;
}
type Samples = Map<string, Sample>;

const definitions: Readonly<Record<MetricName, MetricDefinition>> = metricDefinitions;
const names = Object.keys(metricDefinitions) as MetricName[];

/** The values of all metrics. Counting and setting are plain map operations, ready before anything is loaded;
 *  prom-client is loaded by the first scrape and only writes the text. */
export class Metrics {
  readonly #families = new Map<MetricName, Samples>(names.map((name) => [name, initial(name)]));
  readonly #observed = new Map<Unlabelled, () => number>();
  #rendered: Promise<string> | null = null;

  inc<N extends CounterName>(name: N, ...labels: LabelArgs<N>): void {
    this.add(name, 1, ...labels);
  }

  /** @param by 0 or more; a counter never goes back */
  add<N extends CounterName>(name: N, by: number, ...labels: LabelArgs<N>): void {
    if (!(by >= 0)) throw new RangeError(`${name} cannot count up by ${by}`);
    const sample = this.#sample(name, labels[0]);
    sample.value += by;
  }

  set<N extends GaugeName>(name: N, value: number, ...labels: LabelArgs<N>): void {
    const sample = this.#sample(name, labels[0]);
    sample.value = value;
  }

  /** One more observation of a histogram, in the unit that its name tells. */
  record<N extends HistogramName>(name: N, value: number, ...labels: LabelArgs<N>): void {
    const sample = this.#sample(name, labels[0]);
    sample.distribution ??= new Distribution(definitions[name].buckets ?? []);
    sample.distribution.record(value);
  }

  /** All samples of a gauge at once: those that are not given are gone, and no scrape sees a gap. */
  replace<N extends GaugeName>(
    name: N,
    samples: readonly { readonly labels: Labels<N>; readonly value: number }[],
  ): void {
    this.#families.set(name, new Map());
    for (const { labels, value } of samples) this.#sample(name, labels).value = value;
    this.#rendered = null;
  }

  /** Lets `read` give the value at every scrape, for figures that grow by themselves. A counter shows the highest value. */
  observe(name: Unlabelled, read: () => number): void {
    this.#observed.set(name, read);
  }

  /** The text format 0.0.4 of Prometheus; kept until a value changes. */
  render(): Promise<string> {
    for (const [name, read] of this.#observed) {
      const before = this.#family(name).get('[]')?.value ?? 0;
      const value = definitions[name].type === 'counter' ? Math.max(before, read()) : read();
      if (value !== before) this.#sample(name).value = value;
    }
    this.#rendered ??= this.#write();
    return this.#rendered;
  }

  async #write(): Promise<string> {
    const families = names.map((name) => [name, [...this.#family(name).values()]] as const);
    const { default: prom } = await import('prom-client');
    const texts = families
      .filter(([, samples]) => samples.length > 0)
      .map(([name, samples]) => {
        const { type, help, labels } = definitions[name];
        const registry = new prom.Registry();
        const options = { name, help, labelNames: labels, registers: [registry] };
        if (type === 'histogram') registry.registerMetric(histogram(name, help, samples));
        else if (type === 'counter') {
          const counter = new prom.Counter(options);
          for (const sample of samples) counter.inc(sample.labels, sample.value);
        } else {
          const gauge = new prom.Gauge(options);
          for (const sample of samples) gauge.set(sample.labels, sample.value);
        }
        return registry.getSingleMetricAsString(name);
      });
    return `${(await Promise.all(texts)).join('\n')}\n`;
  }

  #family(name: MetricName): Samples {
    return this.#families.get(name) ?? new Map<string, Sample>();
  }

  #sample(name: MetricName, given: Readonly<Record<string, string>> = {}): Sample {
    this.#rendered = null;
    const labels = Object.fromEntries(definitions[name].labels.map((label) => [label, given[label] ?? '']));
    const key = JSON.stringify(Object.values(labels));
    const found = this.#family(name).get(key);
    if (found !== undefined) return found;
    const sample = { labels, value: 0 };
    this.#family(name).set(key, sample);
    return sample;
  }
}

/** prom-client can only observe, not take over what was observed; of a metric it wants no more than this to write it. */
function histogram(name: MetricName, help: string, samples: readonly Sample[]): PromHistogram {
  const values = samples.flatMap(({ labels, distribution }) => distribution?.samples(name, labels) ?? []);
  const metric = { name, get: () => Promise.resolve({ name, help, type: 'histogram', values }) };
  return metric as unknown as PromHistogram;
}

const initial = (name: MetricName): Samples =>
  new Map(definitions[name].labels.length === 0 ? [['[]', { labels: {}, value: 0 }]] : []);
