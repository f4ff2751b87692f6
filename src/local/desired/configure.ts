import { randomUUID } from 'node:crypto';
import { ComputeClient } from '../../client/external.ts';
import { ComputeHttpError } from '../../client/http.ts';
import type { ComputeStatus, ConfigureRequest } from '../../client/types.ts';
import { ComputeError, codeOf, errorCodes, explained } from '../../core/errors.ts';
import { poll } from '../../core/poll.ts';
import { askRefresh, computeStatus, computeToken, untilRunning } from '../compute-api.ts';
import { specFor } from '../roles.ts';
import { readPidFile } from '../../process/pid-file.ts';
import { type LocalDir, commandFor, stateOf } from '../state.ts';
import { storageStatusOf } from '../storage-api.ts';
import type { Accepted } from './accepted.ts';
import type { Answer } from './answer.ts';
import type { Droppable } from './change.ts';
import type { Refusal } from './outcome.ts';
import { type Writer, othersIn, writerIn } from './running.ts';

const clientOf = ({ state }: Writer): ComputeClient =>
  new ComputeClient({
    url: `http://127.0.0.1:${state.ports.externalHttp}`,
    token: () => computeToken(state, 3600),
    retries: 0,
  });

const configureMs = 600_000;

/** Sends the compute a spec with what is wanted.
 *  @param drop what is dropped with it
 *  @throws ComputeError `catalog` with the compute's reason; then what was in force before is in force again */
export async function configure(
  dir: LocalDir,
  writer: Writer,
  { wanted, before, drop }: { wanted: Accepted; before: Accepted | null; drop: readonly Droppable[] },
  signal: AbortSignal,
): Promise<ComputeStatus> {
  const storage = await storageStatusOf(stateOf(dir), signal);
  const stopped = storage?.disk?.level === 'stop';
  const body = (accepted: Accepted | null): ConfigureRequest =>
    specFor(dir, stateOf(dir), writer.state.computeId, {
      writesStopped: stopped,
      wanted: accepted,
    }) as ConfigureRequest;
  const client = clientOf(writer);
  const call = { signal, timeoutMs: configureMs };
  try {
    return await client.configure(withDrops(body(wanted), drop), call);
  } catch (error) {
    signal.throwIfAborted();
    const status = await computeStatus(writer.state, signal);
    // A pass that failed leaves the compute in that status, until a spec comes that can be applied.
    if (status?.status === 'failed') await client.configure(body(before), call).catch(() => {});
    throw refused(error, status);
  }
}

function withDrops(body: ConfigureRequest, drop: readonly Droppable[]): ConfigureRequest {
  if (drop.length === 0) return body;
  const delta_operations = drop.map(({ kind, name }) => ({
    action: kind === 'database' ? 'delete_db' : 'delete_role',
    name,
  }));
  return { ...body, spec: { ...body.spec, delta_operations, operation_uuid: randomUUID() } };
}

const startMs = 120_000;

/** Waits for a compute that is being started, or configured by somebody else: it would refuse a spec.
 *  @throws ComputeError `deadline` */
export async function untilStarted(dir: LocalDir, answer: Answer, signal: AbortSignal): Promise<void> {
  const writer = writerIn(dir);
  if (writer === null || readPidFile(writer.dir.upPid) === null) return;
  const settled = async (limited: AbortSignal): Promise<true | null> => {
    const { status = 'init' } = (await computeStatus(writer.state, limited)) ?? {};
    return ['running', 'failed'].includes(status) || readPidFile(writer.dir.upPid) === null ? true : null;
  };
  if ((await settled(signal)) !== null) return;
  answer.progress('Waiting for the compute to start ...');
  if ((await poll(settled, { everyMs: 100, limitMs: startMs }, signal)) !== null) return;
  throw new ComputeError('deadline', `the compute did not start within ${startMs / 1000} s`, {
    hint: `look at: ${commandFor(dir, 'status')}`,
  });
}

/** What the compute says about its failure; its answer to the request only repeats that. */
function refused(error: unknown, status: ComputeStatus | null): ComputeError {
  const { failure, error: text } = status ?? {};
  if (failure !== undefined && failure !== null) {
    // The last paragraph repeats hint and code.
    const reason = (text ?? '')
      .split('\n\n')
      .slice(0, -1)
      .join('\n\n')
      .replaceAll(/\s*\n\n?Caused by:\s*/g, ': ');
    const isSetting = failure.code === 'settings_refused';
    return new ComputeError(failure.code, isSetting ? reason.replace(placeOfSetting, '') : reason, {
      hint: isSetting || isGeneral(failure.hint) ? advice : failure.hint,
    });
  }
  if (error instanceof ComputeHttpError) return new ComputeError('conflict', error.message);
  return new ComputeError('conflict', 'the compute does not answer', {
    cause: error,
    hint: 'look at: compute-local status',
  });
}

/** A line of a file that nobody writes by hand. */
const placeOfSetting = /^PostgreSQL cannot use .*? stays in force: (?:\S*postgresql\.conf, line \d+: )?/;
const advice = 'correct it in compute.json, then apply again';
const isGeneral = (hint: string | null): hint is null => hint === null || hint === errorCodes.catalog.act;

/** Asks the other computes on the storage to fetch their specs again. One that does not answer gets its own at its next start. */
export async function refreshOthers(dir: LocalDir, signal: AbortSignal): Promise<void> {
  const ports = othersIn(dir).map(({ state }) => state.ports.internalHttp);
  await Promise.all(ports.map((port) => askRefresh(port, signal).catch(() => {})));
}

const restartMs = 600_000;

/** Ends the compute, which the program that keeps it starts again, and waits until it runs.
 *  @throws ComputeError `deadline`, `postgres_start` */
export async function restart(writer: Writer, signal: AbortSignal): Promise<void> {
  const before = await computeStatus(writer.state, signal);
  await clientOf(writer).terminate('immediate', { signal });
  await untilNew(writer, before?.start_time ?? null, signal);
}

async function untilNew(writer: Writer, before: string | null, signal: AbortSignal): Promise<void> {
  await poll(
    async (limited) => {
      const now = await computeStatus(writer.state, limited);
      return now !== null && now.start_time !== before ? true : null;
    },
    { everyMs: 50, limitMs: restartMs },
    signal,
  );
  await untilRunning(writer.state, restartMs, signal);
}

export const refusalOf = (error: unknown): Refusal => ({
  code: codeOf(error),
  reason: error instanceof ComputeError ? error.message : explained(error),
  hint: error instanceof ComputeError ? (error.hint ?? null) : null,
});
