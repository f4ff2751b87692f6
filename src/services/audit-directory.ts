import { monotonicMs, sleep } from '../core/clock.ts';
import { shownBytes } from '../core/shown.ts';
import { type AuditFiles, type UnreadFile, cleanAuditFiles } from './audit-files.ts';
import { isConnectedTo } from '../process/listens.ts';
import { readStat, startedAtSeconds } from '../process/proc.ts';
import { findDaemon } from './rsyslog/daemon.ts';
import type { Endpoint } from './rsyslog/endpoint.ts';
import { readPositions } from './rsyslog/positions.ts';
import { messageEndSeconds, messageLateSeconds } from './rsyslog/text.ts';
import type { ServiceDeps } from './service.ts';

/** As in the original. */
const idleMs = 15 * 60_000;
/** How long the end waits until rsyslogd has read the last messages. */
export const drainMs = 5000;
/** After this time the last message of a file that is read is sent. */
const sentMs = (messageEndSeconds + messageLateSeconds) * 1000;

type Deps = Pick<ServiceDeps, 'metrics' | 'log' | 'settings' | 'rsyslog' | 'failpoints'>;

/** How exact the start time of a process is. */
const clockMs = 2000;

/** No more often is rsyslogd restarted because it does not see a file. */
const restartEveryMs = 5 * 60_000;

/** Looks after the audit files: what is no longer needed goes, and what waits or is lost is counted. */
export class AuditDirectory {
  readonly #deps: Deps;
  #before: readonly UnreadFile[] = [];
  #restartedMs = -Infinity;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** @param collector null: its address is wrong
   *  @returns what is wrong; null: nothing */
  async look(directory: string, collector: Endpoint | null, signal: AbortSignal): Promise<string | null> {
    const { metrics, settings, failpoints } = this.#deps;
    await failpoints.pass('compute-audit-files', signal);
    const { logBytes, unread, lostBytes, writtenMs } = await this.#clean(directory);
    metrics.set('compute_audit_log_dir_size', logBytes);
    metrics.set(
      'compute_audit_log_unread_bytes',
      unread.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    if (lostBytes > 0)
      this.#reportLoss(
        lostBytes,
        `the files had more than ${shownBytes(settings.audit.limitBytes)} (--audit-log-limit), and rsyslogd had not read them`,
      );
    const standing = unread.filter((now) =>
      this.#before.some(({ key, position }) => key === now.key && position === now.position),
    );
    this.#before = unread;
    if (standing.length === 0)
      return collector !== null && this.#isUnsent(writtenMs, collector)
        ? `rsyslogd has no connection to the collector (port ${collector.port}): audit messages wait`
        : null;
    if (standing.some(({ position }) => position === null)) await this.#makeItLook(signal);
    const names = standing.map(({ name }) => name).join(', ');
    return `rsyslogd reads no further in ${names}: look whether the collector answers`;
  }

  /** Counts what rsyslogd has not read: nobody will send it.
   *  @param patient waits until it has read the last messages, if there are any */
  async end(directory: string, patient: boolean, signal: AbortSignal): Promise<void> {
    const { metrics } = this.#deps;
    const untilMs = patient ? monotonicMs() + drainMs : -Infinity;
    const unread = await this.#drain(directory, untilMs, signal);
    if (unread > 0)
      this.#reportLoss(unread, `rsyslogd had not read them at the end; they are in ${directory}`);
    metrics.set('compute_audit_log_dir_size', 0);
    metrics.set('compute_audit_log_unread_bytes', 0);
  }

  /** @returns the bytes that are left */
  async #drain(directory: string, untilMs: number, signal: AbortSignal): Promise<number> {
    for (;;) {
      const { unread, writtenMs } = await this.#clean(directory);
      const bytes = unread.reduce((sum, one) => sum + one.bytes, 0);
      if (bytes === 0 && writtenMs < Date.now() - sentMs) return 0;
      if (monotonicMs() >= untilMs || signal.aborted) return bytes;
      await sleep(100, signal).catch(() => {});
    }
  }

  #reportLoss(bytes: number, why: string): void {
    const { metrics, log } = this.#deps;
    metrics.add('compute_audit_log_lost_bytes_total', bytes);
    log.error(`audit-log: ${shownBytes(bytes)} of audit messages are lost: ${why}`);
  }

  /** What was written since rsyslogd runs has been sent, or is waiting for a connection. */
  #isUnsent(writtenMs: number, { port }: Endpoint): boolean {
    const pid = findDaemon(this.#deps.settings.rsyslog)?.pid;
    const stat = pid === undefined ? null : readStat(pid);
    const startedMs = stat === null ? null : (startedAtSeconds(stat) ?? 0) * 1000;
    if (startedMs === null || writtenMs < startedMs + clockMs || writtenMs > Date.now() - sentMs)
      return false;
    return isConnectedTo(stat!.pid, port) === false;
  }

  /** It does not always see a directory that was made a moment after another of that name was removed. */
  async #makeItLook(signal: AbortSignal): Promise<void> {
    if (monotonicMs() - this.#restartedMs < restartEveryMs) return;
    this.#restartedMs = monotonicMs();
    await this.#deps.rsyslog.restart(signal);
  }

  #clean(directory: string): Promise<AuditFiles> {
    const { settings } = this.#deps;
    const limits = { idleMs, bytes: settings.audit.limitBytes };
    return cleanAuditFiles(directory, limits, readPositions(settings.rsyslog));
  }
}
