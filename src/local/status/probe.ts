import { never } from '../../core/abort.ts';
import { withDeadline } from '../../core/clock.ts';
import { codeOf, inline } from '../../core/errors.ts';

/** The limit of each question, in milliseconds: all are asked side by side, so that a hung process delays nothing else. */
export const probeMs = 2000;

/** What a question came to. `silent`: there was no answer within the limit. */
export type Answer<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'silent' }
  | { readonly kind: 'failed'; readonly error: unknown; readonly reason: string };

/** Asks within the limit. Never rejects. */
export async function ask<T>(work: (signal: AbortSignal) => Promise<T>): Promise<Answer<T>> {
  try {
    return { kind: 'answered', value: await withDeadline('the answer', probeMs, never, work) };
  } catch (error) {
    if (codeOf(error) === 'deadline') return { kind: 'silent' };
    return { kind: 'failed', error, reason: inline(error) };
  }
}

export const valueOf = <T>(answer: Answer<T> | null): T | null =>
  answer?.kind === 'answered' ? answer.value : null;
