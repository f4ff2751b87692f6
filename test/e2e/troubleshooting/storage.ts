import type { Mistake } from './mistake.ts';

export const storage: readonly Mistake[] = [];
