import { alarm } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Secret } from '../../core/secret.ts';
import type { RunningServer } from '../../http/server.ts';
import { Access } from './access.ts';
import { claimGeneration } from './claim-generation.ts';
import { keepCompact } from './compaction.ts';
import { controlPlane } from './control-plane.ts';
import { type Copied, Copying } from './copying.ts';
import { type Keep, keepHistory } from './history.ts';
import { timelineDir } from './layout.ts';
import { pageserver } from './pageserver.ts';
import { endOrphans } from './receiver.ts';
import { safekeeper } from './safekeeper.ts';
import { type Candidate, watchPromotions } from './takeover.ts';
import type { GivenLimits } from './disk.ts';
import { type StorageStatus, storageStatus } from './storage-status.ts';
import { Timeline } from './timeline.ts';
import type { Socket, Tools } from './tools.ts';
import { type TroubleNews, Troubles } from './troubles.ts';
import { Watch } from './watch.ts';
import { keepWritable } from './writes.ts';

/** The storage's information about its computes. */
export interface Computes {
  /** The address of the compute that writes. */
  writer(): Socket;
  /** The computes that run as replicas. */
  replicas(): Candidate[];
  /** The control plane's whole answer to a compute; null for an unknown compute.
   *  @param startToken called for the compute that is to be the primary: makes the storage token for this start
   *  @param writesStopped the disk is nearly full: transactions are read-only unless they ask for more */
  spec(computeId: string, startToken: () => string, writesStopped: boolean): unknown;
  /** Asks the compute that writes to fetch its spec again.
   *  @throws ComputeError when it does not take the request */
  refresh(signal: AbortSignal): Promise<void>;
  /** Stores which of them became the primary. */
  promoted(candidate: Candidate): void;
}

export interface StoragePorts {
  readonly pageserver: number;
  readonly safekeeper: number;
  readonly controlPlane: number;
}

export interface ServeOptions {
  /** The timelines' directory. */
  readonly dir: string;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly ports: StoragePorts;
  /** The computes' token for pageserver and safekeeper. */
  readonly storageToken: Secret;
  readonly controlPlaneToken: Secret;
  readonly computes: Computes;
  readonly tools: Tools;
  readonly log: Log;
  readonly maxWalBytes: number;
  readonly diskLimits: GivenLimits;
  /** Called with what went wrong, and when it is over. */
  readonly tell?: (news: TroubleNews) => void;
  /** Called twice a second while a compute that is to write gets a large base backup. */
  readonly onCopy?: (copied: Copied) => void;
  /** What is kept beside the current base backup; null or left out: nothing. */
  readonly keep?: Keep | null;
}

export interface RunningStorage {
  readonly timeline: Timeline;
  readonly troubles: Troubles;
  /** Closes the servers, then stops the receiver. Resolves when everything has ended. */
  close(): Promise<void>;
}

const loopback = '127.0.0.1';
const closeMs = 2000;
/** The same amount that a primary keeps for the storage. */
const standbyBytes = 64 * 1024 * 1024;

/** Starts pageserver, safekeeper, control plane, receiver and compaction. The timeline must exist.
 *  @throws ComputeError `port`, `local_storage` */
export async function serveStorage(options: ServeOptions, signal: AbortSignal): Promise<RunningStorage> {
  const { tenantId, timelineId, ports, computes, tools, log } = options;
  const files = timelineDir(options.dir, tenantId, timelineId);
  await endOrphans(files, signal);
  const server = computes.writer();
  const keptForStandbys = (): number => (computes.replicas().length === 0 ? 0 : standbyBytes);
  const troubles = new Troubles({ log, ...(options.tell && { tell: options.tell }) });
  let diskIsLow = false;
  const history = () => ({ keep: options.keep ?? null, diskIsLow });
  const timeline = new Timeline({ dir: files, server, tools, log, troubles, keptForStandbys, history });
  const watch = new Watch({ path: options.dir, timeline, troubles, limits: options.diskLimits });
  const { maxWalBytes } = options;
  const access = new Access(options.storageToken);
  const copying = new Copying(options.onCopy ?? (() => {}));
  const served = { tenantId, timelineId, timeline, access, copying };
  const wire = { pageserver: pageserver(served, log), safekeeper: safekeeper(served) };
  let http: RunningServer | null = null;
  const stopping = new AbortController();
  let duties: Promise<unknown> = Promise.resolve();
  const close = async (): Promise<void> => {
    stopping.abort();
    const limit = new AbortController();
    const cancel = alarm(closeMs, () => limit.abort());
    const servers = [
      http?.close(0) ?? Promise.resolve(),
      ...Object.values(wire).map((one) => one.close(limit.signal)),
    ];
    await Promise.all(servers).finally(cancel);
    await duties;
    await timeline.receiver.stop();
  };
  try {
    // A compute that starts must get the right spec at once.
    await watch.lookAtDisk(signal);
    await open('pageserver', ports.pageserver, (port) => wire.pageserver.listen(port, loopback));
    await open('safekeeper', ports.safekeeper, (port) => wire.safekeeper.listen(port, loopback));
    http = await open('control plane', ports.controlPlane, (port) =>
      controlPlane({
        host: loopback,
        port,
        token: options.controlPlaneToken,
        spec: (computeId) => computes.spec(computeId, () => access.issueStart(), watch.level === 'stop'),
        claim: (known, end, limited) => claimGeneration(timeline, known, end, limited),
        status: (): StorageStatus => storageStatus({ timeline, troubles, watch, copying, maxWalBytes }),
        log,
      }),
    );
  } catch (error) {
    await close();
    throw error;
  }
  timeline.receiver.start();
  const candidates = (): Candidate[] => computes.replicas();
  const onTaken = (taken: Candidate): void => computes.promoted(taken);
  duties = Promise.all([
    watch.run(stopping.signal),
    keepHistory(
      () => {
        diskIsLow = watch.level !== 'ok';
        timeline.removeObsolete();
      },
      options.keep ?? null,
      stopping.signal,
    ),
    keepWritable({ timeline, watch, log, refresh: (over) => computes.refresh(over) }, stopping.signal),
    keepCompact(
      {
        timeline,
        tools,
        log,
        troubles,
        maxWalBytes,
        diskIsLow: () => watch.level !== 'ok',
        freeBytes: () => watch.freeBytes,
      },
      stopping.signal,
    ),
    watchPromotions({ timeline, tools, log, troubles, candidates, onTaken }, stopping.signal),
  ]);
  return { timeline, troubles, close };
}

async function open<T>(what: string, port: number, listen: (port: number) => Promise<T>): Promise<T> {
  try {
    return await listen(port);
  } catch (error) {
    const cause = error instanceof ComputeError ? error.cause : error;
    throw new ComputeError(
      'port',
      `the ${what} of the storage of compute-local cannot listen on ${loopback}:${port}`,
      {
        cause,
        hint: 'find the program that uses the port (ss -ltnp) and stop it, or choose other ports: compute-local up --new-ports',
      },
    );
  }
}
