import type { Metafile, Plugin as BundlePlugin } from 'esbuild';

export const mostBytes: number;
export function dashboardPage(): Promise<{
  readonly html: string;
  readonly policy: string;
  readonly metafile: Metafile;
}>;
export const pageForBundle: BundlePlugin;
