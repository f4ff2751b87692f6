import { linkSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ComputeError, explained } from '../core/errors.ts';
import { type PgClient, sqlState } from '../pg/client.ts';
import { reloadAndWait } from '../pg/reload.ts';
import { type ConfError, checkConf } from '../postgres/conf-check.ts';
import {
  type FileJudgement,
  type UnusableLine,
  describeLine,
  isMainFile,
  judgeFiles,
} from '../postgres/conf-in-force.ts';
import { contradictions, missingLibraries } from '../postgres/conf-start.ts';
import { confValue } from '../postgres/conf-syntax.ts';
import { serverSetting } from '../postgres/server-setting.ts';
import { overrideFile } from '../postgres/files.ts';
import { readSmall } from '../process/regular-file.ts';
import { type StartContext, pathOf } from './context.ts';

const mainFile = (context: StartContext): string => join(pathOf(context), 'postgresql.conf');
const earlierFile = (context: StartContext): string => `${mainFile(context)}.earlier`;

/** Keeps the current `postgresql.conf` beside a new one. A link, since putting it back must work on a full disk, too. */
export function keepEarlierConf(context: StartContext): void {
  forgetEarlierConf(context);
  try {
    linkSync(mainFile(context), earlierFile(context));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

export const forgetEarlierConf = (context: StartContext): void =>
  rmSync(earlierFile(context), { force: true });

/** Puts the earlier `postgresql.conf` back in place; takes effect after a reload. Without one it changes nothing. */
export function restoreEarlierConf(context: StartContext): void {
  try {
    renameSync(earlierFile(context), mainFile(context));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return;
  }
  context.log.warn('the earlier postgresql.conf is in its place again');
}

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
    if (judged.pending.length > 0 && judged.unusable.length === 0) await nextStart(context, signal);
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

const checked = (context: StartContext): Parameters<typeof checkConf>[0] => ({
  bin: context.settings.bin,
  dataDir: pathOf(context),
  env: context.settings.env,
});

/** What needs a restart must not keep Postgres from starting again. @throws ComputeError `settings_refused` */
async function nextStart(context: StartContext, signal: AbortSignal): Promise<void> {
  const check = checked(context);
  try {
    const problems = [
      ...(await contradictions(check, signal)),
      ...((await missingLibraries(check, signal)) ?? []),
    ];
    if (problems.length > 0) throw refused(problems.map(({ text }) => text));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ComputeError && error.code === 'settings_refused') throw error;
    context.log.warn(`cannot check whether Postgres would start with the new settings: ${explained(error)}`);
  }
}

/** The server has found the error already: this is only about the words for it. */
async function reasonsOfStart(context: StartContext, signal: AbortSignal): Promise<ConfError[]> {
  try {
    return await checkConf(checked(context), signal);
  } catch (error) {
    signal.throwIfAborted();
    context.log.debug(`no words from postgres -C: ${explained(error)}`);
    return [];
  }
}

/** A line that is not of this spec does not fail it, unless the server would ignore everything because of that line. */
function accept(context: StartContext, { unusable, applies }: FileJudgement): void {
  const ofSpec = unusable.filter((line) => isOfSpec(context, line));
  const others = unusable.filter((line) => !ofSpec.includes(line));
  if (ofSpec.length > 0) throw refused(ofSpec.map(describeLine));
  if (!applies) throw notOfSpec(others.map(describeLine));
  for (const line of others)
    context.log.warn(`PostgreSQL ignores a setting that this spec did not bring: ${describeLine(line)}`);
}

/** Not what stands in other files, what this program itself writes (an older extension may not know it), nor what the server
 *  was started with and ignores since then. */
function isOfSpec(context: StartContext, line: UnusableLine): boolean {
  if (!isMainFile(pathOf(context), line)) return false;
  const { name } = line;
  if (name === null) return true;
  const wanted = serverSetting(context.spec.spec, name);
  return wanted !== null && wanted !== confValue(earlierText(context), name);
}

function earlierText(context: StartContext): string {
  try {
    return readSmall(earlierFile(context));
  } catch {
    return '';
  }
}

/** The same where only PostgreSQL's words at a start are known, which do not always name the file. */
function acceptUnseen(context: StartContext, wrong: readonly ConfError[]): void {
  if (wrong.length === 0) return;
  const words = wrong.map((one) => one.words);
  const ofSpec = words.filter((text) => {
    const name = /parameter "([^"]+)"/.exec(text)?.[1];
    if (name !== undefined) return serverSetting(context.spec.spec, name) !== null;
    return text.includes(`"${mainFile(context)}"`);
  });
  throw ofSpec.length > 0 ? refused(ofSpec) : notOfSpec(words);
}

const notOfSpec = (reasons: readonly string[]): ComputeError =>
  new ComputeError(
    'settings_refused',
    `PostgreSQL keeps all its earlier settings because of a line that this spec did not bring: ${reasons.join('; ')}`,
    { hint: 'correct or remove that line, then send the configuration again' },
  );

const refused = (reasons: readonly string[]): ComputeError =>
  new ComputeError(
    'settings_refused',
    `PostgreSQL cannot use ${reasons.length === 1 ? 'a setting' : `${reasons.length} settings`} of the spec, so the earlier configuration stays in force: ${reasons.join('; ')}`,
    { hint: 'correct the spec; compute_ctl check finds such settings beforehand' },
  );
