import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Crashes } from '../../../src/catalog/crash.ts';
import { never } from '../../../src/core/abort.ts';
import { failpointList } from '../../../src/core/failpoint-list.ts';
import { Failpoints } from '../../../src/core/failpoints.ts';
import { Metrics } from '../../../src/metrics/registry.ts';
import { AuditDirectory } from '../../../src/services/audit-directory.ts';
import { installedExtensions } from '../../../src/services/installed-extensions.ts';
import { localProxy } from '../../../src/services/local-proxy/service.ts';
import { KeepsFile } from '../../../src/services/rsyslog/kept-file.ts';
import { Rsyslog } from '../../../src/services/rsyslog/rsyslog.ts';
import { ServiceRunner } from '../../../src/services/runner.ts';
import {
  type Health,
  type RunningService,
  type Service,
  type ServiceDeps,
  healthNow,
} from '../../../src/services/service.ts';
import { TlsReaders } from '../../../src/services/tls/readers.ts';

let home: string;
let points: Failpoints;
let deps: ServiceDeps;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'failpoints-'));
  points = new Failpoints();
  const log = pino({ level: 'silent' });
  const settings = {
    program: '/bin/true',
    conf: '/dev/null',
    confDir: home,
    pidFile: join(home, 'pid'),
    workDir: home,
    caFile: home,
  };
  deps = {
    log,
    failpoints: points,
    metrics: new Metrics(),
    rsyslog: new Rsyslog({ settings, env: {}, log }),
    tlsReaders: new TlsReaders(log, null),
    stopAsked: never,
    untilCalm: () => Promise.resolve(),
    crashing: new Crashes(),
    stoppedBySignal: () => false,
    settings: {
      target: { host: '127.0.0.1', port: 1, user: 'x', password: null, database: 'x', options: '' },
      audit: { limitBytes: 1000 },
      rsyslog: settings,
      helpers: { localProxy: { configPath: join(home, 'config.json'), pidPath: join(home, 'proxy.pid') } },
    },
  } as unknown as ServiceDeps;
});
afterEach(() => rmSync(home, { recursive: true }));

const shows = async (health: () => Health, error: string | null): Promise<void> => {
  await vi.waitFor(() => expect(health().error).toBe(error), { timeout: 20_000, interval: 5 });
};

test('every failpoint is hit in the sources, and used by a test', () => {
  const texts = (pattern: string): string =>
    globSync(pattern, { cwd: join(import.meta.dirname, '../../..') })
      .filter((path) => !path.endsWith('failpoint-list.ts'))
      .map((path) => readFileSync(join(import.meta.dirname, '../../..', path), 'utf8'))
      .join('\n');
  const [sources, tests] = [texts('src/**/*.ts'), texts('test/**/*.ts')];
  for (const name of Object.keys(failpointList)) {
    expect([name, sources.includes(`('${name}', `)]).toEqual([name, true]);
    expect([name, tests.includes(name)]).toEqual([name, true]);
  }
});

test('compute-service-start fails one service, which starts with the next spec', async () => {
  const service = (name: string): Service<unknown> => ({
    name,
    when: 'beside-postgres',
    wants: () => true,
    start: async () => ({ health: healthNow('ok'), reconfigure: async () => {}, stop: async () => {} }),
  });
  const runner = new ServiceRunner([service('one'), service('two')], deps);
  points.set('compute-service-start', 'return(two)');
  const spec = {} as Parameters<ServiceRunner['reconfigure']>[0];
  await runner.bring('beside-postgres', spec, never);
  expect(runner.health()).toMatchObject({
    one: { state: 'ok' },
    two: { state: 'failed', error: 'compute-service-start failpoint' },
  });
  points.set('compute-service-start', 'off');
  await runner.reconfigure(spec, never);
  expect(runner.health()).toMatchObject({ one: { state: 'ok' }, two: { state: 'ok' } });
  await runner.stop('beside-postgres', never);
});

test('compute-helper-apply fails what is written for a helper, until it is over', async () => {
  points.set('compute-helper-apply', '1*return(local-proxy)');
  const running: RunningService<string> = await localProxy.start('{}', deps, never);
  await shows(() => running.health, 'compute-helper-apply failpoint');
  await shows(() => running.health, null);
  expect(readFileSync(join(home, 'config.json'), 'utf8')).toBe('{}');
  await running.stop(never);
});

test('compute-rsyslog-apply fails the configuration of one log', async () => {
  points.set('compute-rsyslog-apply', 'return(audit-log)');
  const kept = (name: string): KeepsFile<null> =>
    new KeepsFile({ name, file: `${name}.conf`, text: () => '# text\n' }, null, deps);
  const [audit, other] = [kept('audit-log'), kept('logs-export')];
  await shows(() => audit.health, 'compute-rsyslog-apply failpoint');
  await vi.waitFor(() => expect(other.health.error).toMatch(/rsyslogd does not run/), { timeout: 20_000 });
  await audit.end(never);
  await other.end(never);
});

test('compute-audit-files fails the clean-up of the audit files', async () => {
  points.set('compute-audit-files', '1*return');
  const files = new AuditDirectory(deps);
  await expect(files.look(home, null, never)).rejects.toThrow('compute-audit-files failpoint');
  expect(await files.look(home, null, never)).toBeNull();
});

test('compute-installed-extensions fails the count, which is shown', async () => {
  points.set('compute-installed-extensions', 'return');
  const running = await installedExtensions.start(1, deps, never);
  await shows(() => running.health, 'compute-installed-extensions failpoint');
  await running.stop(never);
});
