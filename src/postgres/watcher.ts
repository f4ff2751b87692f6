import { never } from '../core/abort.ts';
import { within } from '../core/clock.ts';
import { explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { endChild } from '../process/end.ts';
import { only } from '../process/environment.ts';
import { type RunningProcess, startProcess } from '../process/process.ts';

/** Waits for the end of compute_ctl, and then ends what that has left in PGDATA: Postgres, or a sync of the safekeepers.
 *
 *  It reads from a pipe of which only compute_ctl has the other end: a line says that all is stopped; the end of the pipe,
 *  that nobody could say it any more. Then the processes of Postgres in PGDATA are ended that have been given to the same
 *  new parent as the shell: so those of the next compute_ctl are not taken for them. Fast first (10 s), so that not even
 *  asynchronous commits are lost; then immediate (6 s, in which Postgres ends its own children), then SIGKILL.
 *
 *  PGDATA is held open, since it may be deleted at once. Only what every shell has built in is used, besides `sleep`: without
 *  that, the steps follow each other in less than a second.
 *  $1: the pid of compute_ctl, $2: PGDATA. */
const script = String.raw`# ends Postgres when compute_ctl has been killed
trap '' HUP INT QUIT TERM PIPE USR1 USR2
exec 3< "$2" || exit
read -r line && exit 0
pause() { sleep 0.1 || sleep 1; } 2>/dev/null
parent_of() { { read -r x x x parent x < "/proc/$1/stat"; } 2>/dev/null || parent=; }
tries=100
pause || tries=20000
parent_of $$
while [ "$parent" = "$1" ] && [ $tries -gt 0 ]; do pause; tries=$((tries - 1)); parent_of $$; done
new=$parent
find() {
  left=
  for dir in /proc/[0-9]*; do
    { read -r pid name x parent x < "$dir/stat"; } 2>/dev/null || continue
    [ "$parent" = "$new" ] || continue
    case $name in '(postgres)' | '(postmaster)') ;; *) continue ;; esac
    [ "$dir/cwd" -ef "/proc/$$/fd/3" ] && left="$left $pid"
  done
}
stop() {
  tries=$2
  while [ -n "$left" ] && [ $tries -gt 0 ]; do
    kill -"$1" $left
    kill -CONT $left
    tries=$((tries - 1))
    pause
    find
  done
} 2>/dev/null
find
[ -n "$left" ] || { pause; find; }
stop INT 100
stop QUIT 60
stop KILL 50`;

const stopMs = 1000;

/** Ends Postgres if this process ends without doing so: when it is killed, by whomever. The kernel has a signal for that, which
 *  only native code can ask for. */
export class Watcher {
  readonly #shell: RunningProcess;

  private constructor(shell: RunningProcess) {
    this.#shell = shell;
  }

  /** Null, with a warning, if it cannot be started: then the next start ends what a killed compute_ctl has left.
   *  @param pgdata absolute, no symbolic links */
  static async start(pgdata: string, env: NodeJS.ProcessEnv, log: Log): Promise<Watcher | null> {
    try {
      const shell = await startProcess({
        name: 'the shell that watches over Postgres',
        command: '/bin/sh',
        args: ['-c', script, 'sh', String(process.pid), pgdata],
        env: only(env, ['PATH']),
        stdin: 'pipe',
        stdout: 'ignore',
        stderr: 'ignore',
        detached: true,
      });
      return new Watcher(shell);
    } catch (error) {
      log.warn(`Postgres would outlive compute_ctl if that was killed: ${explained(error)}`);
      return null;
    }
  }

  /** Called when nothing runs in PGDATA any more. Never rejects. */
  async stop(): Promise<void> {
    this.#shell.stdin?.end('stopped\n');
    if ((await within(this.#shell.exited, stopMs, never)) !== null) return;
    await endChild(this.#shell, [{ signal: 'SIGKILL', graceMs: stopMs }], never).catch(() => {});
  }
}
