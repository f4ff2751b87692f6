export interface Recording {
  readonly node: readonly string[];
  readonly recorder?: string;
  readonly programs: readonly string[];
  readonly local: readonly string[];
  readonly bundle: (program: string) => string;
  readonly cache: (program: string) => string;
  readonly patience?: number;
}
export function recordAll(recording: Recording): Promise<void>;
