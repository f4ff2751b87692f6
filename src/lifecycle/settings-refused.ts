import { ComputeError } from '../core/errors.ts';
import type { ConfError } from '../postgres/conf-check.ts';
import {
  type FileJudgement,
  type UnusableLine,
  describeLine,
  isMainFile,
} from '../postgres/conf-in-force.ts';
import { confValue } from '../postgres/conf-syntax.ts';
import { serverSetting } from '../postgres/server-setting.ts';
import { type StartContext, pathOf } from './context.ts';
import { earlierConf, mainFile } from './earlier-conf.ts';

/** A line that is not of this spec does not fail it, unless the server would ignore everything because of that line. */
export function accept(context: StartContext, { unusable, elsewhere, applies }: FileJudgement): void {
  const ofSpec = unusable.filter((line) => isOfSpec(context, line));
  const others = unusable.filter((line) => !ofSpec.includes(line));
  if (ofSpec.length > 0) throw refused(ofSpec.map(describeLine));
  if (!applies) throw notOfSpec(others.map(describeLine));
  for (const line of others)
    context.log.warn(`PostgreSQL ignores a setting that this spec did not bring: ${describeLine(line)}`);
  const { database } = context.settings.target;
  for (const line of elsewhere)
    context.log.warn(
      `PostgreSQL takes a setting that has no effect in the database ${database}: ${describeLine(line)}`,
    );
}

/** Not what stands in other files, what this program itself writes (an older extension may not know it), nor what the server
 *  was started with and ignores since then. */
function isOfSpec(context: StartContext, line: UnusableLine): boolean {
  if (!isMainFile(pathOf(context), line)) return false;
  const { name } = line;
  if (name === null) return true;
  const wanted = serverSetting(context.spec.spec, name);
  return wanted !== null && wanted !== confValue(earlierConf(context), name);
}

/** The same where only PostgreSQL's words at a start are known, which do not always name the file. */
export function acceptUnseen(context: StartContext, wrong: readonly ConfError[]): void {
  if (wrong.length === 0) return;
  const words = wrong.map((one) => one.words);
  const ofSpec = words.filter((text) => {
    const name = /parameter "([^"]+)"/.exec(text)?.[1];
    if (name !== undefined) return serverSetting(context.spec.spec, name) !== null;
    return text.includes(`"${mainFile(context)}"`);
  });
  throw ofSpec.length > 0 ? refused(ofSpec) : notOfSpec(words);
}

export const notOfSpec = (reasons: readonly string[]): ComputeError =>
  new ComputeError(
    'settings_refused',
    `PostgreSQL keeps all its earlier settings because of a line that this spec did not bring: ${reasons.join('; ')}`,
    { hint: 'correct or remove that line, then send the configuration again' },
  );

export const refused = (reasons: readonly string[]): ComputeError =>
  new ComputeError(
    'settings_refused',
    `PostgreSQL cannot use ${reasons.length === 1 ? 'a setting' : `${reasons.length} settings`} of the spec, so the earlier configuration stays in force: ${reasons.join('; ')}`,
    { hint: 'correct the spec; compute_ctl check finds such settings beforehand' },
  );
