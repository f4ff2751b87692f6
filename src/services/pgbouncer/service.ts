import { accessSync, constants, realpathSync } from 'node:fs';
import { explained } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';
import { usesTls } from '../../postgres/conf.ts';
import type { TlsFiles } from '../../postgres/tls.ts';
import { readRegular } from '../../process/regular-file.ts';
import { replaceContent } from '../../process/replace-content.ts';
import { keepApplied } from '../applied.ts';
import { HelperStop } from '../helper-stop.ts';
import type { Service, ServiceDeps } from '../service.ts';
import { notInForce, reloadPgbouncer } from './admin.ts';
import { unfitFor, withSettings, withoutSettings } from './ini.ts';
import { ownPgbouncer } from './process.ts';

interface Wanted {
  readonly settings: Readonly<Record<string, Secret>>;
  readonly tls: TlsFiles | null;
}

const iniBytes = 1024 * 1024;

/** A new spec waits for it. */
const withdrawMs = 2000;

/** A newer pgbouncer takes SIGTERM as a wish to wait for its clients, so SIGQUIT follows. */
const steps = [
  { signal: 'SIGTERM', graceMs: 1500 },
  { signal: 'SIGQUIT', graceMs: 1000 },
  { signal: 'SIGKILL', graceMs: 1000 },
] as const;

/** Keeps the spec's settings in pgbouncer's ini file and in force, and stops it with the compute. Something else starts it. */
export const pgbouncer: Service<Wanted> = {
  name: 'pgbouncer',
  when: 'beside-postgres',
  wants: ({ spec }, { tls }) =>
    spec.pgbouncer_settings === null
      ? null
      : { settings: spec.pgbouncer_settings, tls: usesTls(spec, tls !== null) ? tls : null },
  async start(wanted, deps) {
    const { helpers } = deps.settings;
    const ini = new IniFile(helpers.pgbouncer.iniPath);
    const { pidPath } = helpers.pgbouncer;
    const stop = new HelperStop({ name: 'pgbouncer', find: () => ownPgbouncer(pidPath), steps }, deps);
    const leave = deps.tlsReaders.add('pgbouncer', (signal) => reloadPgbouncer(helpers, signal));
    return keepApplied(wanted, deps, {
      name: 'pgbouncer',
      apply: applying(ini, deps),
      async withdraw(signal) {
        leave();
        stop.release();
        if (ini.change(withoutSettings)) await reloadPgbouncer(helpers, signal, withdrawMs);
      },
      async end(signal) {
        leave();
        const { keeps } = stop;
        try {
          await stop.end(signal);
        } finally {
          if (!keeps) ini.change(withoutSettings);
        }
      },
    });
  },
};

/** RELOAD only when the file has changed since the last one that worked. */
function applying(
  ini: IniFile,
  { settings: { helpers } }: ServiceDeps,
): (wanted: Wanted, signal: AbortSignal) => Promise<string | null> {
  let loaded: string | null = null;
  let inForce = false;
  return async (wanted, signal) => {
    const { settings, missing } = settingsOf(wanted);
    ini.change((text) => withSettings(text, inBytes(settings)));
    const reload = loaded !== ini.text;
    if (reload || !inForce) {
      const { text } = ini;
      const refused = await notInForce(helpers, { settings, reload }, signal);
      loaded = text;
      inForce = refused.length === 0;
      missing.push(...refused);
    }
    return missing.length === 0 ? null : missing.join('; ');
  };
}

/** What goes into the file, and why the rest does not. */
function settingsOf({ settings: given, tls }: Wanted): { settings: Map<string, string>; missing: string[] } {
  const settings = new Map<string, string>();
  const missing: string[] = [];
  for (const [key, secret] of Object.entries(given)) {
    const value = secret.reveal().trim();
    const why = unfitFor(key, value);
    if (why === null) settings.set(key, value);
    else missing.push(`spec.pgbouncer_settings[${JSON.stringify(key.slice(0, 60))}] is left out: ${why}`);
  }
  if (tls === null) return { settings, missing };
  try {
    for (const path of [tls.keyPath, tls.certPath]) accessSync(path, constants.R_OK);
    settings.set('client_tls_cert_file', tls.certPath);
    settings.set('client_tls_key_file', tls.keyPath);
    settings.set('client_tls_sslmode', 'allow');
  } catch (error) {
    missing.push(`TLS is left out until its files are there: ${explained(error)}`);
  }
  return { settings, missing };
}

/** Each character of the result stands for one byte of the UTF-8 of a value. */
const inBytes = (settings: ReadonlyMap<string, string>): Map<string, string> =>
  new Map([...settings].map(([key, value]) => [key, Buffer.from(value).toString('latin1')]));

/** Its text has a character for each byte, since it may be in any encoding, and the other lines stay as they are. */
class IniFile {
  readonly #path: string;
  /** As it was read or written last. */
  text = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** True when the change made a difference.
   *  @throws Error that names the file; it is as before */
  change(changed: (text: string) => string): boolean {
    try {
      const old = readRegular(realpathSync(this.#path), iniBytes).toString('latin1');
      const text = changed(old);
      if (text === old) {
        this.text = old;
        return false;
      }
      // It could not be read again.
      if (text.length > iniBytes) throw new Error(`it would have more than ${iniBytes} bytes`);
      replaceContent(this.#path, Buffer.from(text, 'latin1'));
      this.text = text;
      return true;
    } catch (error) {
      throw new Error(`could not change pgbouncer's settings in ${this.#path}`, { cause: error });
    }
  }
}
