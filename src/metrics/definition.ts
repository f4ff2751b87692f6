export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** In the order of their names, which is also their order on the wire. */
  readonly labels: readonly string[];
  readonly help: string;
  /** Of a histogram: the upper bounds, in rising order, in the unit that the name gives. */
  readonly buckets?: readonly number[];
}
