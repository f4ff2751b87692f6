import type { Mistake } from './mistake.ts';

export const dataDirectory: readonly Mistake[] = [];
