import type { Plugin as BundlePlugin } from 'esbuild';
import type { Plugin as TestPlugin } from 'vite';

export const migrationsForBundle: BundlePlugin;
export const migrationsForTests: TestPlugin;
