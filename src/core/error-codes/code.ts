/** What is declared of each error code. */
export interface Code {
  /** The process's exit code, when it ends with this failure. */
  readonly exit: number;
  /** The status of an HTTP request that fails with it. */
  readonly http: number;
  /** What failed. */
  readonly doc: string;
  /** What an operator does about it. */
  readonly act: string;
}
