import type { Mistake } from './mistake.ts';

export const postgres: readonly Mistake[] = [];
