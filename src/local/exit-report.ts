import { monotonicMs } from '../core/clock.ts';
import { codeOf, hintOf, inline } from '../core/errors.ts';
import type { Report } from './report.ts';
import type { Kept } from './supervisor.ts';

const minuteMs = 60_000;

/** Reports that a child has ended, and why it did not start. One that fails at each start for the same reason is reported once
 *  a minute. */
export function exitReport(
  { event, who }: { readonly event: string; readonly who: string },
  report: Report,
  nowMs: () => number = monotonicMs,
): Kept['onExit'] {
  const toldMs = new Map<string, number>();
  return ({ code, signal }, failure, nextMs) => {
    const key = failure === null ? '' : codeOf(failure);
    const lastMs = toldMs.get(key);
    if (failure !== null && lastMs !== undefined && nowMs() - lastMs < minuteMs) return;
    toldMs.set(key, nowMs());
    const reason = failure === null ? null : inline(failure).replaceAll(/\s*\n\s*/g, ' ');
    const how =
      code === null
        ? signal === null
          ? 'did not start'
          : `exited (signal ${signal})`
        : `exited (exit code ${code})`;
    const why = reason === null ? '' : `: ${reason}`;
    const hint = failure === null ? null : hintOf(failure);
    report.event(
      event,
      { code, signal, restart_in_ms: nextMs, ...(reason !== null && { reason }) },
      `${who} ${how}${why}${hint === null ? '' : `. What to do: ${hint}`}. Starting it again ...`,
    );
  };
}
