import { withDeadline } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import { until } from '../../core/poll.ts';
import { type RunningProcess, startProcess } from '../../process/process.ts';
import { endChild, termThenKill } from '../../process/end.ts';
import { type Socket, type Tools, conninfo } from './tools.ts';
import { type TakenBase, takeBase } from './base.ts';
import { slotName, withCompute } from './compute-link.ts';
import { WalEnd } from './wal-end.ts';

export interface BaseWithWal {
  readonly tools: Tools;
  readonly server: Socket;
  /** The base backup's directory. */
  readonly fresh: string;
  /** An empty directory of the OS user, for the WAL from the start of the base backup. */
  readonly walDir: string;
  readonly walSegmentBytes: number;
  /** The PG timeline. */
  readonly timeline: number;
  /** With a slot, the server keeps later WAL for the next receiver. */
  readonly slot: boolean;
  readonly onBytes: (bytes: number) => void;
}

const startMs = 120_000;
const arrivalMs = 60_000;
/** A standby with this name does not count for commits. */
const ownName = 'compute_local_first';

/** Takes a base backup of a server together with its WAL, so that it can be recovered from these two alone.
 *  @throws ComputeError `local_storage`, `deadline` */
export async function takeBaseWithWal(options: BaseWithWal, signal: AbortSignal): Promise<TakenBase> {
  const { tools, server, fresh, walDir, walSegmentBytes, timeline, onBytes } = options;
  const receiver = await receive(options);
  const alive = (): void => {
    if (receiver.child.exit !== null)
      throw new ComputeError('local_storage', `pg_receivewal exited: ${receiver.said.slice(-3).join('; ')}`);
  };
  try {
    await withDeadline('pg_receivewal', startMs, signal, (limited) => streaming(server, alive, limited));
    const taken = await takeBase(tools, server, fresh, signal, onBytes);
    const walEnd = new WalEnd(walDir, walSegmentBytes, taken.startLsn, timeline);
    const arrived = (): boolean => {
      if ((walEnd.find() ?? 0n) >= taken.stopLsn) return true;
      alive();
      return false;
    };
    await until("the base backup's WAL", arrived, { everyMs: 10, limitMs: arrivalMs }, signal);
    return taken;
  } finally {
    await endChild(receiver.child, termThenKill(2000), signal);
  }
}

async function receive({
  tools,
  server,
  walDir,
  slot,
}: BaseWithWal): Promise<{ child: RunningProcess; said: readonly string[] }> {
  const said: string[] = [];
  const child = await startProcess({
    command: tools.postgres.sibling('pg_receivewal'),
    args: [
      '-d',
      conninfo(server, ownName),
      '-D',
      walDir,
      '--synchronous',
      '--no-loop',
      '--no-password',
      ...(slot ? ['--slot', slotName] : []),
    ],
    env: tools.env,
    cwd: '/',
    stdout: 'ignore',
    onStderrLine: (line) => said.push(line),
  });
  return { child, said };
}

/** The base backup must not begin before the WAL is being received. */
async function streaming(server: Socket, alive: () => void, signal: AbortSignal): Promise<void> {
  const look = 'select from pg_catalog.pg_stat_replication where state = $1 and application_name = $2';
  await withCompute(server, signal, (pg) => {
    const streams = async (): Promise<boolean> => {
      if ((await pg.query(look, ['streaming', ownName])).rowCount !== 0) return true;
      alive();
      return false;
    };
    return until('pg_receivewal', streams, { everyMs: 10, limitMs: Infinity }, signal);
  });
}
