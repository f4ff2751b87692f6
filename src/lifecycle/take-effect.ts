import { basename } from 'node:path';
import { ComputeError, explained } from '../core/errors.ts';
import { type PgClient, sqlState } from '../pg/client.ts';
import { reloadAndWait } from '../pg/reload.ts';
import { type ConfCheck, type ConfError, checkConf } from '../postgres/conf-check.ts';
import { type FileJudgement, judgeFiles } from '../postgres/conf-in-force.ts';
import { startProblems } from '../postgres/conf-start.ts';
import { confValue } from '../postgres/conf-syntax.ts';
import { overrideFile } from '../postgres/files.ts';
import { machineRules } from '../postgres/machine-rules.ts';
import { serverSetting } from '../postgres/server-setting.ts';
import { type StartContext, pathOf } from './context.ts';
import { currentConf, earlierConf } from './earlier-conf.ts';
import { isToCome } from '../services/extensions/find.ts';
import { accept, acceptUnseen, refused } from './settings-refused.ts';

const cannotConnectNow = '57P03';
const notSuperuser = '42501';

/** Makes the settings of `postgresql.conf` take effect, or says why they cannot. The server is asked how it would read its
 *  files before it does, so that no setting has changed after a refusal. What needs a restart goes to `/status`.
 *  @throws ComputeError `settings_refused` that names file, line, setting and PostgreSQL's reason; `deadline`; `sql` when the
 *  server cannot be reached */
export async function takeEffect(context: StartContext, signal: AbortSignal): Promise<void> {
  const { settings, state, spec, log } = context;
  const ask = (): void => void state.postgres?.reload();
  let judged: FileJudgement | null = null;
  const judge = async (pg: PgClient): Promise<void> => {
    judged = await judgeFiles(pg, () => reasonsOfStart(context, signal));
    accept(context, judged);
    // With a bad value in somebody else's file nothing can be asked, and a start fails because of that.
    if (judged.unusable.length === 0) await nextStart(context, pg, signal);
  };
  try {
    await reloadAndWait(settings.target, ask, signal, judge);
    remember(context, judged);
  } catch (error) {
    const state = sqlState(error);
    // A replica that is not consistent yet refuses connections, but reloads its settings.
    const tooEarly = spec.mode.kind !== 'primary' && state === cannotConnectNow;
    if (!tooEarly && state !== notSuperuser) throw error;
    acceptUnseen(context, await checkConf(checked(context), signal));
    ask();
    log.warn(`cannot check whether the new settings have taken effect; continuing: ${explained(error)}`);
  }
}

/** For `/status`. */
function remember({ state, spec, log }: StartContext, judged: FileJudgement | null): void {
  const ours = (name: string): boolean => serverSetting(spec.spec, name) !== null;
  state.pendingRestart = judged?.pending ?? [];
  // Ours is included last, and lifts a limit only for as long as the catalog pass takes.
  state.overriddenSettings = (judged?.overridden ?? []).filter(
    ({ name, file }) => ours(name) && basename(file) !== overrideFile,
  );
  for (const { name, file, line } of state.overriddenSettings)
    log.warn(`the setting ${name} of the spec is not in force: ${file}, line ${line} overrides it`);
}

const checked = (context: StartContext): ConfCheck => ({
  bin: context.settings.bin,
  dataDir: pathOf(context),
  env: context.settings.env,
});

/** What is new in the file must not keep Postgres from starting again, also where the running server would take it.
 *  @throws ComputeError `settings_refused` */
async function nextStart(context: StartContext, pg: PgClient, signal: AbortSignal): Promise<void> {
  const [before, now] = [earlierConf(context), currentConf(context)];
  if (before === now) return;
  // What an included file sets cannot be seen from here.
  const includes = now.split('\n').some((line) => /^\s*include/i.test(line) && !line.includes(overrideFile));
  const concerns = (name: string): boolean => includes || confValue(before, name) !== confValue(now, name);
  const check = checked(context);
  try {
    const errors = await checkConf(check, signal);
    if (errors.length > 0) throw refused(errors.map(({ words }) => words));
    const walSegmentBytes = await segmentBytes(pg);
    const toCome = isToCome(context.spec.spec, context.settings);
    const about = { ...check, isEmpty: false, walSegmentBytes, more: machineRules, concerns, toCome };
    const { problems } = await startProblems(about, signal);
    if (problems.length > 0) throw refused(problems.map(({ text }) => text));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ComputeError && error.code === 'settings_refused') throw error;
    context.log.warn(`cannot check whether Postgres would start with the new settings: ${explained(error)}`);
  }
}

async function segmentBytes(pg: PgClient): Promise<number | null> {
  const { rows } = await pg.query<{ bytes: string }>(
    `select setting as bytes from pg_catalog.pg_settings where name operator(pg_catalog.=) 'wal_segment_size'`,
  );
  return rows[0] === undefined ? null : Number(rows[0].bytes);
}

/** Null when PostgreSQL cannot be asked. */
async function reasonsOfStart(context: StartContext, signal: AbortSignal): Promise<ConfError[] | null> {
  try {
    return await checkConf(checked(context), signal);
  } catch (error) {
    signal.throwIfAborted();
    context.log.debug(`no words from postgres -C: ${explained(error)}`);
    return null;
  }
}
