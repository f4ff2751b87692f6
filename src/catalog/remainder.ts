/** What an earlier pass with the same spec has left undone because of single databases. */
export interface Remainder {
  /** The databases that failed. */
  readonly databases: ReadonlySet<string>;
  /** Keys of the units that failed or were left out. */
  readonly units: ReadonlySet<string>;
}
