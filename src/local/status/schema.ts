import * as v from 'valibot';
import { holderKinds } from '../front/holders.ts';
import { outcomes } from '../next/events.ts';
import { storageStatusSchema } from '../storage/storage-status.ts';

/** What everything together is, and with which code `status` exits. */
export const states = {
  running: { exit: 0, doc: 'The primary accepts connections, and everything else that was started works.' },
  asleep: {
    exit: 0,
    doc: 'Nobody has used the primary for a while, so its Postgres is stopped. The next connection starts it; everything else that was started works.',
  },
  starting: { exit: 3, doc: '`up` is starting, or starts again what has ended. There is no primary yet.' },
  stopping: { exit: 3, doc: '`up` is stopping.' },
  stopped: { exit: 3, doc: 'Nothing runs. The data is there.' },
  absent: { exit: 3, doc: 'There has been no `up` in the directory: there is no data.' },
  trouble: { exit: 4, doc: 'Something runs, and something is wrong: see `problems`.' },
} as const satisfies Record<string, { readonly exit: number; readonly doc: string }>;

export type State = keyof typeof states;

/** What one compute, or the storage, is doing. */
export const partStates = {
  running: 'It works.',
  starting: 'It was started, and does not work yet.',
  asleep: 'Nobody has used it for a while, so its Postgres is stopped; the next connection starts it.',
  stopping: 'It was asked to stop.',
  stopped: 'It does not run.',
  failed: 'It runs, or should run, and does not work: see `problems`.',
  no_answer: 'It runs, but did not answer within 2 seconds.',
} as const;

export type PartState = keyof typeof partStates;

/** The kinds of problems. */
export const problemKinds = {
  failed: 'It does not work; the message has the reason.',
  no_answer: 'A process exists, but did not answer within 2 seconds: it hangs, or the machine is overloaded.',
  suspended: 'The process is stopped by a signal, a terminal or a debugger.',
  orphaned: 'It runs without the `compute-local up` that started it.',
  no_storage: 'Computes run without the storage: their commits wait.',
  storage_trouble: 'The storage says what is wrong with it; `storage.troubles` has the same in parts.',
  not_receiving: 'The storage receives no WAL from the primary: commits wait.',
  no_primary: 'The compute that is the primary since a promotion does not run.',
  promotion_incomplete: 'A promotion has begun and did not end.',
  two_primaries: 'A second compute accepts writes; the storage never acknowledges its commits.',
  unreadable: 'A file of compute-local is damaged, or missing.',
} as const;

export type ProblemKind = keyof typeof problemKinds;

const keysOf = <T extends object>(of: T) => Object.keys(of) as [keyof T & string, ...(keyof T & string)[]];
const described = <S extends v.GenericSchema>(schema: S, doc: string) =>
  v.pipe(schema, v.description<v.InferOutput<S>, string>(doc));
const text = (doc: string) => described(v.string(), doc);
const textOrNull = (doc: string) => described(v.nullable(v.string()), doc);
const count = (doc: string) => described(v.number(), doc);
const countOrNull = (doc: string) => described(v.nullable(v.number()), doc);
const pid = countOrNull('Its process; null when it does not run.');
const since = textOrNull('When that process began; UTC, ends in Z.');
const bytes = (doc: string) => count(`${doc}, in bytes on disk.`);

const sleep = v.object({
  suspend_after_ms: count('How long nobody must use it, in milliseconds: `--suspend-after`.'),
  suspend_hard_after_ms: countOrNull(
    'After how long idle sessions with state are ended, in milliseconds; null for never.',
  ),
  kept_awake_by: described(
    v.array(
      v.object({
        kind: described(v.picklist(keysOf(holderKinds)), 'What keeps it awake.'),
        who: text('Who that is.'),
        since: text('Since when; UTC, ends in Z.'),
      }),
    ),
    'Why it does not sleep, as of the last look; empty while it does.',
  ),
  suspends: count('How often it has gone to sleep since `up` began.'),
  wakes: count('How often it was started again because somebody wanted to use it.'),
  ended_sessions: count('Sessions that were ended by that, with SQLSTATE 57P01.'),
  clients: count('Clients that are connected, also while it sleeps.'),
  woken_by: textOrNull('Who woke it last; null when nobody did.'),
  last_wake_ms: countOrNull('How long the last start took for that client, in milliseconds.'),
  next: described(
    v.nullable(
      v.object({
        state: described(v.picklist(keysOf(outcomes)), 'How far it is.'),
        reason: textOrNull('Why it was not prepared.'),
      }),
    ),
    'The data directory of the next start, as the last sleep has left it; null before the first one, and where none is prepared.',
  ),
});

const compute = v.object({
  name: text(
    '`main` for the one that `up` starts by itself, or the name of the branch that `status` was given; also for `url`, `psql` and `token`.',
  ),
  role: described(
    v.picklist(['primary', 'replica', 'view']),
    'The primary is the one that writes, also after a promotion. A view shows the data at one LSN.',
  ),
  state: described(v.picklist(keysOf(partStates)), 'What it is doing.'),
  detail: textOrNull('Why it is in this state, where there is something to say.'),
  up_pid: countOrNull('The `compute-local up` that keeps it running; null when there is none.'),
  compute_ctl_pid: countOrNull('Its compute_ctl; null when it does not run.'),
  postgres_pid: countOrNull('Its Postgres; null when it does not run.'),
  since: textOrNull('When its Postgres began; UTC, ends in Z.'),
  exits: count('How often it has ended by itself and was started again since its `up` began.'),
  ports: described(
    v.object({
      postgres: count('TCP port of Postgres.'),
      http: count('Port of the HTTP API.'),
      internal_http: count('Port of the internal HTTP server.'),
    }),
    'The last ones used, while it does not run.',
  ),
  lsn: textOrNull('Where its WAL ends; on a replica and a view: up to where it has replayed.'),
  at_lsn: textOrNull('The LSN of a view; null for all others.'),
  lag: described(
    v.nullable(
      v.object({
        bytes: count('WAL that the storage has and the replica has not replayed.'),
        seconds: countOrNull(
          'Age of the last commit that it has replayed; 0 when nothing is left to replay.',
        ),
      }),
    ),
    'How far a replica is behind; null for all others, and while that is not known.',
  ),
  connections: countOrNull('Sessions of clients; null while Postgres does not answer.'),
  sleep: described(
    v.nullable(sleep),
    'When it sleeps and why not; null where it never sleeps, or does not run.',
  ),
  disk_bytes: bytes('Data directory and logs'),
  log_dir: text('Where its logs are.'),
});

const storage = v.object({
  state: described(v.picklist(keysOf(partStates)), 'What it is doing.'),
  detail: textOrNull('Why it is in this state, where there is something to say.'),
  pid,
  since,
  exits: count('How often it has ended by itself and was started again since `up` began.'),
  ports: described(
    v.object({
      pageserver: count('Serves base backups.'),
      safekeeper: count('Serves WAL.'),
      control_plane: count('Serves specs.'),
    }),
    'The last ones used, while it does not run.',
  ),
  ...v.partial(storageStatusSchema).entries,
});

/** The JSON of `compute-local status --json`. Members may be added; none is removed or gets another meaning. */
export const statusSchema = v.object({
  state: described(v.picklist(keysOf(states)), 'What everything together is.'),
  running: described(
    v.boolean(),
    'True when `state` is `running` or `asleep`: whoever connects to the primary is served.',
  ),
  dir: text('The directory.'),
  pid: countOrNull('The `compute-local up` of the directory; null when it does not run.'),
  since: textOrNull('When it was started; UTC, ends in Z.'),
  primary: textOrNull('Name of the compute that is the primary; null when there is none in the directory.'),
  computes: described(v.array(compute), 'The main compute first, then replicas and views by name.'),
  storage: described(
    v.nullable(storage),
    'Null when there is none in the directory. What is from `end_lsn` on is read from the disk while the storage does not answer; it is absent where that is not possible.',
  ),
  disk: described(
    v.nullable(
      v.object({
        total_bytes: bytes('The whole directory'),
        base_bytes: bytes('Base backups'),
        wal_bytes: bytes('Stored WAL'),
        data_bytes: bytes('Data directories, which every start creates again'),
        prepared_bytes: bytes(
          'Data directories that are made ahead of a start; blocks that files share are counted for each',
        ),
        log_bytes: bytes('Logs'),
        complete: described(v.boolean(), 'False when counting took too long: the sizes are lower limits.'),
        free_bytes: countOrNull('What is free on this disk, in bytes; null where that is not known.'),
      }),
    ),
    'What the directory takes; null when there is none.',
  ),
  problems: described(
    v.array(
      v.object({
        kind: described(v.picklist(keysOf(problemKinds)), 'What kind of problem it is.'),
        about: text('Name of the compute, or `storage`, `up`, or a path.'),
        message: text('What is wrong.'),
        hint: text('What to do.'),
      }),
    ),
    'What is wrong, the worst first. Empty when nothing is.',
  ),
});

export type StatusReport = v.InferOutput<typeof statusSchema>;
export type ComputeReport = StatusReport['computes'][number];
export type StorageReport = NonNullable<StatusReport['storage']>;
export type DiskReport = NonNullable<StatusReport['disk']>;
export type Problem = StatusReport['problems'][number];
