/** What a histogram has counted for one set of labels. */
export class Distribution {
  readonly #bounds: readonly number[];
  /** One more than there are bounds: the last one is for what exceeds them all. */
  readonly #counts: number[];
  #sumMicros = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = [...bounds, 0].map(() => 0);
  }

  record(value: number): void {
    const at = this.#bounds.findIndex((bound) => value <= bound);
    const slot = at === -1 ? this.#bounds.length : at;
    this.#counts[slot] = (this.#counts[slot] ?? 0) + 1;
    this.#sumMicros += Math.round(value * 1e6);
  }

  /** The samples of the family `name`, buckets summed up as the text format wants them, labels in the order of their names. */
  samples(name: string, labels: Readonly<Record<string, string>>): HistogramSample[] {
    let count = 0;
    const buckets = this.#counts.map((own, at) => {
      count += own;
      const all = { ...labels, le: String(this.#bounds[at] ?? '+Inf') };
      return { metricName: `${name}_bucket`, labels: sorted(all), value: count };
    });
    return [
      ...buckets,
      // Counted in whole millionths, so that the sum does not drift and is never written with an exponent.
      { metricName: `${name}_sum`, labels, value: this.#sumMicros / 1e6 },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}

export interface HistogramSample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const sorted = (labels: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
