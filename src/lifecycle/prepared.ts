import { elapsedMs, monotonicMs } from '../core/clock.ts';
import { explained } from '../core/errors.ts';
import { formatLsn } from '../core/lsn.ts';
import { adoptPrepared } from '../postgres/prepared/adopt.ts';
import type { Wanted } from '../postgres/prepared/note.ts';
import { buildVersion } from '../core/build.ts';
import { bootId } from '../process/identity.ts';
import { type StartContext, pathOf } from './context.ts';

/** Fills the data directory from the one that was prepared for exactly this start, if there is one.
 *  @param empty restores the data directory when it was filled in part
 *  @returns whether it is filled */
export async function usePrepared(
  context: StartContext,
  keep: ReadonlySet<string>,
  empty: () => Promise<void>,
): Promise<boolean> {
  const { settings, log, state } = context;
  const prepared = settings.preparedPgdata;
  if (prepared === null) return false;
  const startMs = monotonicMs();
  const refuse = (why: string): false => {
    log.info(`the prepared data directory ${prepared} is not used: ${why}`);
    return false;
  };
  try {
    const why = adoptPrepared({ prepared, pgdata: pathOf(context), keep, wanted: wantedBy(context) });
    if (why !== null) return refuse(why);
  } catch (error) {
    await empty();
    return refuse(explained(error));
  }
  state.figures.basebackup_ms = elapsedMs(startMs);
  log.info(
    `the data directory was prepared up to LSN ${formatLsn(context.lsn)}: a base backup is not needed`,
  );
  return true;
}

function wantedBy({ spec, settings, lsn }: StartContext): Wanted | null {
  if (spec.mode.kind !== 'primary') return null;
  const { tenantId, timelineId } = spec;
  return {
    tenantId,
    timelineId,
    lsn,
    postgresMajor: settings.bin.major,
    bootId: bootId(),
    version: buildVersion,
  };
}
