import { withDeadline } from '../../core/clock.ts';
import { type PgClient, withPg } from '../../pg/client.ts';
import type { HelperSettings } from '../helper-settings.ts';

const defaultMs = 5000;
const connectMs = 3000;
const queryMs = 3000;

/** Tells pgbouncer to read its files again, certificates included. No client is disconnected.
 *  @param limitMs milliseconds for all of it
 *  @throws ComputeError `sql`, `deadline`; the message never has the password */
export const reloadPgbouncer = (
  helpers: HelperSettings,
  signal: AbortSignal,
  limitMs = defaultMs,
): Promise<void> =>
  onConsole(helpers, { signal, limitMs }, async (client) => void (await client.query('RELOAD')));

/** Which of the settings are not in force: pgbouncer answers RELOAD with success also when it could not read its file to the
 *  end.
 *  @param reload first, as `reloadPgbouncer`
 *  @returns text for each */
export const notInForce = (
  helpers: HelperSettings,
  { settings, reload }: { readonly settings: ReadonlyMap<string, string>; readonly reload: boolean },
  signal: AbortSignal,
): Promise<string[]> =>
  onConsole(helpers, { signal, limitMs: defaultMs }, async (client) => {
    if (reload) await client.query('RELOAD');
    const { rows } = await client.query<ConfigRow>('SHOW CONFIG');
    return [...settings]
      .map(([key, value]) => whyNot(key, value, rows))
      .filter((why): why is string => why !== null);
  });

interface ConfigRow {
  readonly key: string;
  readonly value: string | null;
  readonly changeable: string;
}

function whyNot(key: string, value: string, rows: readonly ConfigRow[]): string | null {
  const row = rows.find((one) => one.key === key);
  if (row === undefined) return `${key}: pgbouncer does not know it`;
  if (asShown(row.value ?? '') === asShown(value)) return null;
  if (row.changeable === 'no') return `${key}: pgbouncer takes it only when it starts: restart it`;
  return `${key}: pgbouncer did not take its value: see its log`;
}

const words: Record<string, string> = {
  yes: '1',
  on: '1',
  true: '1',
  t: '1',
  no: '0',
  off: '0',
  false: '0',
  f: '0',
};

/** One form for what pgbouncer reads in several. */
function asShown(value: string): string {
  const text = value.trim().toLowerCase();
  return words[text] ?? (/^\d+(\.\d+)?$/.test(text) ? String(Number(text)) : text);
}

const onConsole = <T>(
  { pgbouncer: { admin } }: HelperSettings,
  { signal, limitMs }: { readonly signal: AbortSignal; readonly limitMs: number },
  work: (client: PgClient) => Promise<T>,
): Promise<T> =>
  withDeadline("the work on pgbouncer's admin console", limitMs, signal, (limited) =>
    withPg(admin, { applicationName: 'compute_ctl:pgbouncer', connectMs, queryMs, signal: limited }, work),
  );
