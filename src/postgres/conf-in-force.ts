import { join } from 'node:path';
import type { PgClient } from '../pg/client.ts';
import { sqlState } from '../pg/client.ts';
import { messageOf } from '../core/errors.ts';
import { type ConfError } from './conf-check.ts';
import { isSameSetting } from './conf-syntax.ts';

/** A line of a configuration file that the running server cannot use. */
export interface UnusableLine {
  readonly file: string;
  readonly line: number | null;
  /** Null: the line cannot be read. */
  readonly name: string | null;
  /** PostgreSQL's words. */
  readonly error: string;
}

/** A setting whose value in the files takes effect at the next start of Postgres. */
export interface PendingRestart {
  readonly name: string;
  /** The value in force; null for texts, which may hold a secret. */
  readonly current: string | null;
  /** The value in the files; null for texts, and where the files do not set it any more. */
  readonly wanted: string | null;
}

/** A setting of one file that a later file sets to another value. */
export interface OverriddenSetting {
  readonly name: string;
  /** The file and line that count. */
  readonly file: string;
  readonly line: number;
}

/** What a reload of the files as they are now would do. */
export interface FileJudgement {
  readonly unusable: readonly UnusableLine[];
  /** Lines that the server takes, but that mean nothing in the database that was asked: its sessions keep what they had. */
  readonly elsewhere: readonly UnusableLine[];
  readonly pending: readonly PendingRestart[];
  readonly overridden: readonly OverriddenSetting[];
  /** False: the server would keep all settings that it has, since it cannot read a line or does not know a name. */
  readonly applies: boolean;
}

interface FileRow {
  readonly file: string | null;
  readonly line: number | null;
  readonly name: string | null;
  readonly setting: string | null;
  readonly applied: boolean;
  readonly error: string | null;
}

interface SettingRow {
  readonly name: string;
  readonly vartype: string;
  readonly context: string;
  readonly pending: boolean;
  readonly current: string | null;
  /** The value in force is the default. */
  readonly untouched: boolean;
}

/** Asks the server how it reads its configuration files now, without a reload.
 *  @param check errors that a start would report, null when that is not known; asked for only when a line is not usable at
 *  once
 *  @throws the driver's error, 42501 when the session is not a superuser's
 *  @see https://www.postgresql.org/docs/current/view-pg-file-settings.html */
export async function judgeFiles(
  pg: PgClient,
  check: () => Promise<ConfError[] | null>,
): Promise<FileJudgement> {
  // It also marks, for this session, the settings that need a restart. So it comes first.
  const { rows: lines } = await pg.query<FileRow>(
    `select sourcefile as file, sourceline as line, name, setting, applied, error
       from pg_catalog.pg_file_settings`,
  );
  const wrong = lines.filter(({ error }) => error !== null);
  const overridden = overriddenIn(lines);
  if (wrong.length === 0) return { unusable: [], elsewhere: [], pending: [], overridden, applies: true };
  const { rows: settings } = await pg.query<SettingRow>(
    `select name, vartype, context, pending_restart as pending,
            setting is not distinct from boot_val as untouched,
            case when pending_restart and vartype <> 'string'
                 then pg_catalog.current_setting(name, true) end as current
       from pg_catalog.pg_settings`,
  );
  const of = (name: string | null): SettingRow | undefined =>
    name === null ? undefined : settings.find((one) => isSameSetting(one.name, name));
  const atStart = await check();
  const said = (name: string): string | undefined =>
    atStart?.find(({ words }) => words.toLowerCase().includes(`"${name.toLowerCase()}"`))?.words;
  const unusable: UnusableLine[] = [];
  const elsewhere: UnusableLine[] = [];
  for (const row of wrong) {
    const { file, line, name } = row;
    // Without a file: a setting that the files do not set any more, and that only a restart can reset.
    if (file === null) continue;
    const words = name === null ? undefined : said(name);
    if (words === undefined && of(name)?.pending === true) continue;
    const error = words ?? (await refusal(pg, row, of(name)));
    // The view asks as this session would set it. The postmaster is in no database and in no transaction, as at a start.
    const isTaken = atStart?.length === 0 && of(name) !== undefined && name?.includes('.') === false;
    (isTaken ? elsewhere : unusable).push({ file, line, name, error });
  }
  // The mark alone is not enough: the server keeps it after the line that caused it is gone.
  const waits = (one: SettingRow): boolean =>
    wrong.some(({ file, name, error }) =>
      file === null ? !one.untouched && error?.includes(one.name) === true : of(name) === one,
    );
  const pending = settings.filter(
    (one) => one.pending && waits(one) && !unusable.some(({ name }) => of(name) === one),
  );
  const applies = lines.some(({ applied }) => applied);
  return { unusable, elsewhere, applies, overridden, pending: pending.map(toPending) };

  function toPending({ name, vartype, current }: SettingRow): PendingRestart {
    const last = lines.findLast((row) => row.name !== null && isSameSetting(row.name, name));
    return { name, current, wanted: vartype === 'string' ? null : (last?.setting ?? null) };
  }
}

function overriddenIn(lines: readonly FileRow[]): OverriddenSetting[] {
  const found = new Map<string, OverriddenSetting>();
  for (const { name, file, setting, applied, error } of lines) {
    if (name === null || applied || error !== null) continue;
    const last = lines.findLast((row) => row.name !== null && isSameSetting(row.name, name));
    if (last === undefined || last.file === null || last.line === null) continue;
    if (last.file !== file && last.setting !== setting)
      found.set(name, { name, file: last.file, line: last.line });
  }
  return [...found.values()];
}

/** The view gives only a general reason. The words for a library's setting come from an attempt to set it; what it may be
 *  set to at any time is not in doubt here, and a text is not tried, because the words would quote it. */
async function refusal(pg: PgClient, row: FileRow, setting: SettingRow | undefined): Promise<string> {
  const general = row.error ?? '';
  const open = setting === undefined ? row.name?.includes('.') === true : setting.vartype !== 'string';
  const settable = setting === undefined || ['user', 'superuser'].includes(setting.context);
  if (row.name === null || row.setting === null || !open || !settable) return general;
  try {
    await pg.query('select pg_catalog.set_config($1, $2, true)', [row.name, row.setting]);
    return general;
  } catch (error) {
    if (sqlState(error) === null) throw error;
    return messageOf(error);
  }
}

/** Whether a line is in `postgresql.conf` itself, and not in a file that somebody else has put there. */
export const isMainFile = (pgdata: string, { file }: UnusableLine): boolean =>
  file === join(pgdata, 'postgresql.conf');

/** `file, line 12: shared_bufers: unrecognized configuration parameter`. */
export function describeLine({ file, line, name, error }: UnusableLine): string {
  const where = line === null || line === 0 ? file : `${file}, line ${line}`;
  // PostgreSQL's words may have the place, too.
  const words = error.replace(` in file "${file}" line ${line}`, '');
  return `${where}: ${name === null ? '' : `${name}: `}${words}`;
}
