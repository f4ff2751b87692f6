import { basename } from 'node:path';
import { never } from '../../core/abort.ts';
import { withDeadline } from '../../core/clock.ts';
import { explained } from '../../core/errors.ts';
import { sql } from '../../core/sql.ts';
import { nodeNames, readNode } from '../nodes.ts';
import type { Report } from '../report.ts';
import { type LocalDir, type LocalState, commandFor } from '../state.ts';
import { withCompute } from '../storage/compute-link.ts';
import type { Accepted } from './accepted.ts';
import { restart } from './configure.ts';
import { type Writer, othersIn, writerIn } from './running.ts';

/** A client that waits for the primary waits for this, too. */
const limitMs = 20_000;

/** Restarts the replicas whose limits are below those that the start of their primary brings into force, before that: they would replay
 *  nothing until they have the same. What fails is reported, and the primary starts all the same.
 *  @see https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-ADMIN */
export async function restartBehind(
  dir: LocalDir,
  state: LocalState,
  { largest }: Accepted,
  report: Report,
): Promise<void> {
  if (Object.keys(largest).length === 0 || writerIn(dir)?.state.computeId !== state.computeId) return;
  // A view replays nothing that is new.
  const isView = (name: string): boolean =>
    nodeNames(dir).includes(name) && readNode(dir, name)?.mode !== 'replica';
  const follow = async (other: Writer): Promise<void> => {
    const name = basename(other.dir.root);
    if (isView(name)) return;
    try {
      await withDeadline(`the restart of ${name}`, limitMs, never, async (signal) => {
        if (!(await isBehind(other, largest, signal))) return;
        report.progress(`Restarting ${name}: its limits are below those of the primary ...`, '');
        await restart(other, signal);
      });
    } catch (error) {
      const reason = explained(error);
      const hint = `if it does not follow, end it with \`${commandFor(dir, `stop ${name}`)}\` and start it again`;
      report.event(
        'replica-behind',
        { name, reason, hint },
        `"${name}" may not follow the primary, whose limits may be larger now: ${reason}\nHint: ${hint}`,
      );
    }
  };
  // At once, since a client waits.
  await Promise.all(othersIn(dir).map(follow));
}

const isBehind = ({ socket }: Writer, largest: Accepted['largest'], signal: AbortSignal): Promise<boolean> =>
  withCompute(socket, signal, async (pg) => {
    const { rows } = await pg.query<{ name: string; setting: string }>(
      sql`select name, setting from pg_catalog.pg_settings`.reveal(),
    );
    return rows.some(({ name, setting }) => Number(setting) < (largest[name] ?? 0));
  });
