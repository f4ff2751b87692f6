import type { Mistake } from './mistake.ts';

export const requests: readonly Mistake[] = [];
