import type { Mistake } from './mistake.ts';

export const local: readonly Mistake[] = [];
