import { format } from 'node:util';
import type { Log } from './log.ts';

const methods = { error: 'error', warn: 'warn', info: 'info', log: 'info', debug: 'debug' } as const;

/** Makes log lines of what Node and packages would write to stderr and stdout by themselves: warnings, and `console`. */
export function logStrayOutput(log: Log): void {
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    const { code } = warning as { code?: string };
    log.warn({ warning: warning.name, code }, warning.message);
  });
  for (const [method, level] of Object.entries(methods)) {
    console[method as keyof typeof methods] = (...said: unknown[]): void => log[level](format(...said));
  }
}
