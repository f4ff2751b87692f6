import { usesTls } from '../../postgres/conf.ts';
import type { TlsFiles } from '../../postgres/tls.ts';
import { inBackground } from '../forms.ts';
import type { Service } from '../service.ts';
import { type TlsTimes, TlsWatcher } from './watcher.ts';

const times: TlsTimes = {
  lookMs: 60_000,
  withoutPairMs: 1000,
  unsettledMs: 250,
  graceMs: 5000,
  servedMs: 10_000,
};

/** Keeps Postgres, and everybody else who reads them, on the newest TLS key and certificate of the config. */
export const tlsCertificate: Service<TlsFiles> = tlsService(times);

/** @param times tests have shorter ones */
export function tlsService(times: TlsTimes): Service<TlsFiles> {
  return {
    name: 'tls',
    when: 'after-ready',
    wants: ({ spec }, { tls }) => (usesTls(spec, tls !== null) ? tls : null),
    async start(files, deps) {
      return inBackground<TlsFiles>(deps, {
        name: 'tls',
        work: (signal, loop) => new TlsWatcher(files, deps, loop, times).run(signal),
      });
    },
  };
}
