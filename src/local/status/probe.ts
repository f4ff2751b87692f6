import { never } from '../../core/abort.ts';
import { withDeadline } from '../../core/clock.ts';
import { codeOf, inline } from '../../core/errors.ts';
import { listensOn } from '../../process/listens.ts';

/** The limit of each question, in milliseconds: all are asked side by side, so that a hung process delays nothing else. */
export const probeMs = 2000;

/** What a question came to. `silent`: there was no answer within the limit. */
export type Asked<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'silent' }
  | { readonly kind: 'failed'; readonly error: unknown; readonly reason: string };

/** The same of a process at a port. `deaf`: it does not listen there (yet). Another program may, and gets no token of ours. */
export type Answer<T> = Asked<T> | { readonly kind: 'deaf'; readonly port: number };

/** Asks within the limit. Never rejects. */
export async function ask<T>(work: (signal: AbortSignal) => Promise<T>): Promise<Asked<T>> {
  try {
    return { kind: 'answered', value: await withDeadline('the answer', probeMs, never, work) };
  } catch (error) {
    if (codeOf(error) === 'deadline') return { kind: 'silent' };
    return { kind: 'failed', error, reason: inline(error) };
  }
}

/** Asks a process at its port. */
export const askAt = <T>(
  pid: number,
  port: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<Answer<T>> | Answer<T> => (listensOn(pid, port) === false ? { kind: 'deaf', port } : ask(work));

export const valueOf = <T>(answer: Answer<T> | null): T | null =>
  answer?.kind === 'answered' ? answer.value : null;
