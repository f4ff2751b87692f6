import type { ComputeSpec } from './schema.ts';

/** Value of the first entry of that name in `cluster.settings`; null when there is none or its value is null. */
export const setting = (spec: ComputeSpec, name: string): string | null =>
  spec.cluster.settings?.find((entry) => entry.name === name)?.value ?? null;
