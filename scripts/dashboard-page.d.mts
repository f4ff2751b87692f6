import type { Metafile, Plugin as BundlePlugin } from 'esbuild';
import type { Plugin as TestPlugin } from 'vite';

export const mostBytes: number;
export function dashboardPage(): Promise<{
  readonly html: string;
  readonly policy: string;
  readonly metafile: Metafile;
}>;
export const pageForBundle: BundlePlugin;
export const pageForTests: TestPlugin;
