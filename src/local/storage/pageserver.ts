import { abortedBy } from '../../core/abort.ts';
import { type Lsn, noLsn, parseLsn } from '../../core/lsn.ts';
import type { Log } from '../../core/log.ts';
import {
  WireError,
  type WireServer,
  type WireSession,
  serveWire,
  startupOptions,
} from '../../wire/server.ts';
import { gzipArchive, plainArchive, sizesOf } from './archive.ts';
import { shown, wireLimits } from './limits.ts';
import type { ServedTimeline } from './safekeeper.ts';

export interface BasebackupCommand {
  readonly tenantId: string;
  readonly timelineId: string;
  /** `0n`: the latest. */
  readonly lsn: Lsn;
  readonly gzip: boolean;
  readonly replica: boolean;
}

const flags = ['--gzip', '--replica'];

/** `basebackup TENANT TIMELINE [latest|LSN] [--gzip] [--replica]`
 *  @throws WireError with the pageserver's messages */
export function parseBasebackup(text: string): BasebackupCommand {
  const [command = '', ...words] = text.trim().replace(/;$/, '').split(/\s+/);
  if (words.length === 0) throw new WireError('XX000', `cannot parse query: ${shown(text)}`);
  if (command.toLowerCase() !== 'basebackup') {
    throw new WireError('XX000', `the storage of compute-local does not have the command ${shown(command)}`);
  }
  const [tenantId = '', timelineId = '', ...rest] = words;
  if (timelineId === '') throw new WireError('XX000', 'invalid number of params for basebackup command');
  const position = rest[0] === undefined || rest[0].startsWith('--') ? null : (rest.shift() as string);
  const lsn = position === null || position === 'latest' ? noLsn : parseLsn(position);
  if (lsn === null) throw new WireError('XX000', `invalid LSN in basebackup command: ${position}`);
  rest.forEach((flag, at) => {
    if (!flags.includes(flag))
      throw new WireError('XX000', `invalid parameter for basebackup command: ${flag}`);
    if (rest.indexOf(flag) !== at)
      throw new WireError('XX000', `duplicate parameter for basebackup command: ${flag}`);
  });
  return { tenantId, timelineId, lsn, gzip: rest.includes('--gzip'), replica: rest.includes('--replica') };
}

/** Serves base backups as a Neon pageserver does. */
export const pageserver = (served: ServedTimeline, log: Log): WireServer => {
  const tokens = new WeakMap<WireSession, string>();
  return serveWire({
    limits: wireLimits,
    async password(token, session) {
      if (!served.access.mayRead(token)) return new WireError('XX000', 'JWT authentication error');
      tokens.set(session, token);
      return null;
    },
    async onQuery(session, text) {
      if (/^set\s/i.test(text)) return session.complete('SET');
      const lease = leaseCommand.exec(text);
      if (lease !== null) return answerLease(session, served, lease);
      const command = parseBasebackup(text);
      const known =
        command.tenantId.toLowerCase() === served.tenantId &&
        command.timelineId.toLowerCase() === served.timelineId;
      if (!known) throw new WireError('XX000', 'not found');
      await send(session, served, { command, token: tokens.get(session) ?? '' }, log);
    },
  });
};

const leaseCommand = /^\s*lease\s+lsn\s+(\S+)\s+(\S+)\s+(\S+)\s*;?\s*$/i;

/** `lease lsn TENANT TIMELINE LSN`: milliseconds since 1970, or NULL for an LSN that is no longer available. */
async function answerLease(
  session: WireSession,
  { tenantId, timelineId, timeline }: ServedTimeline,
  [, tenant = '', name = '', position = '']: RegExpExecArray,
): Promise<void> {
  if (tenant.toLowerCase() !== tenantId || name.toLowerCase() !== timelineId)
    throw new WireError('XX000', 'not found');
  const lsn = parseLsn(position);
  if (lsn === null) throw new WireError('XX000', `invalid LSN in lease command: ${position}`);
  const until = lsn < timeline.kept.oldest.stopLsn ? null : timeline.leases.grant(lsn);
  await session.rows(['valid_until'], [[until === null ? null : String(until)]], 'SELECT 1');
}

async function send(
  session: WireSession,
  { timeline, access, copying }: ServedTimeline,
  { command, token }: { command: BasebackupCommand; token: string },
  log: Log,
): Promise<void> {
  // compute_ctl sends its mode in the start-up options; a copy for any other client may not write.
  const mode = startupOptions(session.parameters.get('options') ?? '').get('neon.compute_mode');
  const primary = mode === 'primary' && !command.replica;
  if (primary && !access.mayStart(token))
    throw new WireError('XX000', 'JWT authentication error: this token does not allow to start a primary');
  const { snapshot, release } = await timeline.snapshot(primary, command.lsn, session.signal);
  try {
    log.info(
      { base: snapshot.base.number, segments: snapshot.segments.length, generation: snapshot.generation },
      'sending a base backup',
    );
    const archive = command.gzip ? gzipArchive(snapshot) : plainArchive(snapshot);
    const { totalBytes, unpacked } = sizesOf(snapshot, command.gzip);
    const counted = primary ? copying.counted(archive, totalBytes, unpacked) : archive;
    await session.copyOut(counted, 'SELECT 1');
    if (primary) access.started(token);
  } catch (error) {
    if (abortedBy(error, session.signal))
      log.info('the client disconnected before the end of its base backup');
    else log.error({ err: error }, 'the base backup failed before its end');
    throw error;
  } finally {
    release();
  }
}
