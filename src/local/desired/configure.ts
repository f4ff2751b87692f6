import { randomUUID } from 'node:crypto';
import { ComputeClient } from '../../client/external.ts';
import { ComputeHttpError } from '../../client/http.ts';
import type { ComputeStatus, ConfigureRequest } from '../../client/types.ts';
import { ComputeError, codeOf, errorCodes, explained } from '../../core/errors.ts';
import { poll } from '../../core/poll.ts';
import { askRefresh, computeStatus, computeToken, untilRunning } from '../compute-api.ts';
import { specFor } from '../roles.ts';
import { readPidFile } from '../../process/pid-file.ts';
import { type LocalDir, type LocalState, commandFor, stateOf } from '../state.ts';
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

interface Asked {
  readonly wanted: Accepted | null;
  readonly before: Accepted | null;
  /** Of `app`: its new password. */
  readonly app?: Partial<Pick<LocalState, 'password' | 'passwordVerifier'>>;
}

/** Sends the compute a spec with what is wanted, and then has the others on the storage fetch theirs.
 *  @param keep makes it what every start and every spec that is fetched has: before it, the others would get the former
 *  @throws ComputeError as `configure`; then nothing was kept */
export async function putInForce(
  dir: LocalDir,
  writer: Writer,
  asked: Asked,
  keep: () => void,
  signal: AbortSignal,
): Promise<void> {
  await configure(dir, writer, { ...asked, drop: [] }, signal);
  keep();
  await refreshOthers(dir, signal);
}

/** Sends the compute a spec with what is wanted.
 *  @param drop what is dropped with it
 *  @throws ComputeError `catalog` with the compute's reason; then what was in force before is in force again */
export async function configure(
  dir: LocalDir,
  writer: Writer,
  { wanted, before, drop, app = {} }: Asked & { readonly drop: readonly Droppable[] },
  signal: AbortSignal,
): Promise<ComputeStatus> {
  const main = stateOf(dir);
  const storage = await storageStatusOf(main, signal);
  const stopped = storage?.disk?.level === 'stop';
  const body = (accepted: Accepted | null, state: LocalState = main): ConfigureRequest =>
    specFor(dir, state, writer.state.computeId, {
      writesStopped: stopped,
      wanted: accepted,
    }) as ConfigureRequest;
  const client = clientOf(writer);
  const call = { signal, timeoutMs: configureMs };
  try {
    return await client.configure(withDrops(body(wanted, { ...main, ...app }), drop), call);
  } catch (error) {
    signal.throwIfAborted();
    const status = await computeStatus(writer.state, signal);
    const reason = refused(dir, error, status);
    if (status?.status !== 'failed') throw reason;
    // A pass that failed leaves the compute in that status, until a spec comes that can be applied.
    const isBack = await client.configure(body(before), call).then(
      () => true,
      () => false,
    );
    if (isBack) throw reason;
    const more = 'What was accepted before could not be set again either.';
    throw new ComputeError(reason.code, `${reason.message}\n${more}`, {
      hint: reason.hint ?? `look at: ${commandFor(dir, 'status')}`,
    });
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
function refused(dir: LocalDir, error: unknown, status: ComputeStatus | null): ComputeError {
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
    hint: `look at: ${commandFor(dir, 'status')}`,
  });
}

/** A line of a file that nobody writes by hand. */
const placeOfSetting = /^PostgreSQL cannot use .*? stays in force: (?:\S*postgresql\.conf, line \d+: )?/;
const advice = 'correct it in compute.json, then apply again';
const isGeneral = (hint: string | null): hint is null => hint === null || hint === errorCodes.catalog.act;

/** Asks the other computes on the storage to fetch their specs again. One that does not answer gets its own at its next start. */
async function refreshOthers(dir: LocalDir, signal: AbortSignal): Promise<void> {
  const ports = othersIn(dir).map(({ state }) => state.ports.internalHttp);
  await Promise.all(ports.map((port) => askRefresh(port, signal).catch(() => {})));
}

const restartMs = 600_000;

/** Ends the compute, which the program that keeps it starts again, and waits until it runs.
 *  @throws ComputeError `conflict` when that program has ended; `deadline`, `postgres_start` */
export async function restart(writer: Writer, signal: AbortSignal): Promise<void> {
  const before = await computeStatus(writer.state, signal);
  await clientOf(writer).terminate('immediate', { signal });
  await untilNew(writer, before?.start_time ?? null, signal);
}

async function untilNew(writer: Writer, before: string | null, signal: AbortSignal): Promise<void> {
  const isNew = await poll(
    async (limited) => {
      const now = await computeStatus(writer.state, limited);
      if (now !== null && now.start_time !== before) return true;
      if (readPidFile(writer.dir.upPid) !== null) return null;
      throw new ComputeError('conflict', 'the compute-local up that would start it again has ended', {
        hint: 'start it again: it has what was accepted',
      });
    },
    { everyMs: 50, limitMs: restartMs },
    signal,
  );
  if (isNew === null)
    throw new ComputeError('deadline', `the compute did not start again within ${restartMs / 1000} s`);
  await untilRunning(writer.state, restartMs, signal);
}

export const refusalOf = (error: unknown): Refusal => ({
  code: codeOf(error),
  reason: error instanceof ComputeError ? error.message : explained(error),
  hint: error instanceof ComputeError ? (error.hint ?? null) : null,
});
