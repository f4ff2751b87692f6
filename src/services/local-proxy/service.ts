import { rmSync } from 'node:fs';
import { usesTls } from '../../postgres/conf.ts';
import { type ProcessIdentity, signalProcess } from '../../process/identity.ts';
import { lockHolder } from '../../process/locked-pid.ts';
import { writeDurable } from '../../process/files.ts';
import { readSmallByLink } from '../../process/regular-file.ts';
import { replaceContent } from '../../process/replace-content.ts';
import { keepApplied } from '../applied.ts';
import type { HelperSettings } from '../helper-settings.ts';
import { HelperStop } from '../helper-stop.ts';
import type { Service } from '../service.ts';
import { configText, emptyConfig } from './config.ts';

const steps = [
  { signal: 'SIGTERM', graceMs: 2500 },
  { signal: 'SIGKILL', graceMs: 1000 },
] as const;

/** Keeps local_proxy's config file as the spec requires, tells it of each change, and stops it with the compute. Something
 *  else starts it. */
export const localProxy: Service<string> = {
  name: 'local-proxy',
  when: 'beside-postgres',
  wants: ({ spec }, { tls }) =>
    spec.local_proxy_config === null
      ? null
      : configText(spec.local_proxy_config, usesTls(spec, tls !== null) ? tls : null),
  async start(wanted, deps) {
    const { helpers } = deps.settings;
    const { configPath, pidPath } = helpers.localProxy;
    const stop = new HelperStop({ name: 'local_proxy', find: () => lockHolder(pidPath), steps }, deps);
    let told = false;
    const removeOwn = (text: string): void => {
      if (readConfig(configPath) === text) rmSync(configPath, { force: true });
    };
    let written = wanted;
    const leave = deps.tlsReaders.add('local_proxy', async () => void reloadLocalProxy(helpers));
    return keepApplied(wanted, deps, {
      name: 'local-proxy',
      async apply(text) {
        if (writeConfig(configPath, text)) told = false;
        written = text;
        if (!told) reloadLocalProxy(helpers);
        told = true;
        return null;
      },
      async withdraw() {
        leave();
        stop.release();
        // It would go on with the old keys if the file were only removed.
        if (lockHolder(pidPath) === null) return removeOwn(written);
        writeConfig(configPath, emptyConfig);
        reloadLocalProxy(helpers);
      },
      async end(signal) {
        leave();
        const { keeps } = stop;
        await stop.end(signal);
        if (!keeps) removeOwn(written);
      },
    });
  },
};

/** Tells local_proxy to read its files again, certificates included. False when it does not run: it reads them when it
 *  starts.
 *  @throws Error when its pid file is damaged, or it belongs to another user */
export function reloadLocalProxy({ localProxy: { pidPath } }: HelperSettings): boolean {
  const one: ProcessIdentity | null = lockHolder(pidPath);
  return one !== null && signalProcess(one, 'SIGHUP');
}

/** True when the file was different. */
function writeConfig(path: string, text: string): boolean {
  try {
    const old = readConfig(path);
    if (old === text) return false;
    // It holds no secret, and local_proxy may be another user.
    if (old === null) writeDurable(path, text, { mode: 0o644 });
    else replaceContent(path, text);
    return true;
  } catch (error) {
    throw new Error(`could not write local_proxy's configuration ${path}`, { cause: error });
  }
}

function readConfig(path: string): string | null {
  try {
    return readSmallByLink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
