import { readFileSync, readdirSync } from 'node:fs';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Lifecycle } from '../../../src/core/lifecycle.ts';
import { type MetricDefinition, metricDefinitions } from '../../../src/metrics/definitions.ts';
import { followAttached } from '../../../src/metrics/attached.ts';
import { renderMetricsReference } from '../../../src/metrics/reference.ts';
import { Metrics } from '../../../src/metrics/registry.ts';
import { followStatus } from '../../../src/metrics/up.ts';

const samples = (text: string): string[] =>
  text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

test('metrics without labels are there from the first scrape, the others with their first sample', async () => {
  const text = await new Metrics().render();
  const unlabelled = Object.entries<MetricDefinition>(metricDefinitions).filter(
    ([, { labels }]) => labels.length === 0,
  );
  expect(samples(text)).toEqual(unlabelled.map(([name]) => `${name} 0`));
  expect(text).not.toContain('compute_installed_extensions');
});

test('each family has HELP, TYPE and its samples without blank lines, labels sorted by name', async () => {
  const metrics = new Metrics();
  metrics.inc('compute_ctl_cplane_requests_total', { rpc: 'GetConfig', http_status: '200 OK' });
  metrics.add('compute_ctl_cplane_requests_total', 2, { rpc: 'GetConfig', http_status: 'unknown' });
  metrics.inc('compute_ctl_cplane_requests_total', { http_status: '200 OK', rpc: 'GetConfig' });
  const text = await metrics.render();
  const { help } = metricDefinitions.compute_ctl_cplane_requests_total;
  expect(text).toContain(
    `# HELP compute_ctl_cplane_requests_total ${help}\n# TYPE compute_ctl_cplane_requests_total counter\n` +
      'compute_ctl_cplane_requests_total{http_status="200 OK",rpc="GetConfig"} 2\n' +
      'compute_ctl_cplane_requests_total{http_status="unknown",rpc="GetConfig"} 2\n# HELP',
  );
  expect(text).not.toContain('\n\n');
  expect(text.endsWith('\n')).toBe(true);
});

test('families come in the order of their definitions, whatever was counted first', async () => {
  const metrics = new Metrics();
  metrics.set('pg_cctl_attached', 1, {
    pg_compute_id: 'a',
    pg_instance_id: 'b',
    tenant_id: 'c',
    timeline_id: 'd',
  });
  metrics.inc('compute_ctl_db_migration_failed_total', { migration_id: '3' });
  const names = [...(await metrics.render()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  expect(names).toEqual(Object.keys(metricDefinitions).filter((name) => names.includes(name)));
  expect(names).toContain('pg_cctl_attached');
});

test('any label value stays on one line and can be read back', () =>
  fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), async (migration_id) => {
      const metrics = new Metrics();
      metrics.inc('compute_ctl_db_migration_failed_total', { migration_id });
      const line = (await metrics.render()).split('\n').find((each) => each.startsWith('compute_ctl_db'));
      const [, escaped = ''] =
        /^compute_ctl_db_migration_failed_total\{migration_id="([^]*)"\} 1$/.exec(line ?? '') ?? [];
      const read = escaped.replaceAll(/\\(.)/g, (_, sign: string) => (sign === 'n' ? '\n' : sign));
      expect(read).toBe(migration_id);
    }),
  ));

test('a scrape shows the values of its own time, and the same text while nothing changed', async () => {
  const metrics = new Metrics();
  let downtime = 0;
  metrics.observe('compute_pg_current_downtime_ms', () => downtime);
  const first = await metrics.render();
  expect(await metrics.render()).toBe(first);
  downtime = 1503;
  expect(samples(await metrics.render())).toContain('compute_pg_current_downtime_ms 1503');
  downtime = 0;
  metrics.add('compute_pg_downtime_ms_total', 1503);
  expect(samples(await metrics.render())).toEqual(
    expect.arrayContaining(['compute_pg_current_downtime_ms 0', 'compute_pg_downtime_ms_total 1503']),
  );
});

test('a counter never goes back', () => {
  const metrics = new Metrics();
  for (const by of [-1, Number.NaN]) {
    expect(() => metrics.add('compute_pg_downtime_ms_total', by)).toThrow(RangeError);
  }
});

test('compute_ctl_up always has exactly one sample, of the current status', async () => {
  const [metrics, lifecycle] = [new Metrics(), new Lifecycle()];
  const stop = followStatus(metrics, lifecycle);
  const up = async (): Promise<string[]> =>
    samples(await metrics.render()).filter((line) => line.startsWith('compute_ctl_up'));
  expect(await up()).toEqual(['compute_ctl_up{build_tag="latest",status="empty"} 1']);
  lifecycle.move('empty', 'configuration_pending');
  expect(await up()).toEqual(['compute_ctl_up{build_tag="latest",status="configuration-pending"} 1']);
  lifecycle.move('configuration_pending', 'termination_pending_fast');
  lifecycle.move('termination_pending_fast', 'terminated');
  expect(await up()).toEqual(['compute_ctl_up{build_tag="latest",status="terminated"} 1']);
  stop();
  expect(lifecycle.changed.listenerCount('status')).toBe(0);
});

test('labels are defined in the order of their names, and the reference names every metric', () => {
  const page = renderMetricsReference();
  for (const [name, { labels }] of Object.entries<MetricDefinition>(metricDefinitions)) {
    expect(labels).toEqual(labels.toSorted());
    expect(page).toContain(`| \`${name}\` |`);
  }
});

test('every metric that is documented as served is used somewhere in src/', () => {
  const src = new URL('../../../src/', import.meta.url);
  const sources = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && file !== 'metrics/definitions.ts')
    // A name as an argument; as a type (`Labels<'...'>`) it sets nothing.
    .map((file) => readFileSync(new URL(file, src), 'utf8').replaceAll(/<'\w+'>/g, ''));
  const unused = Object.keys(metricDefinitions).filter(
    (name) => !sources.some((text) => text.includes(`'${name}'`)),
  );
  expect(unused).toEqual([]);
});

test('pg_cctl_attached names what the current spec attaches to, and is absent without a spec', async () => {
  const [metrics, lifecycle] = [new Metrics(), new Lifecycle()];
  const labels = { pg_compute_id: 'c', pg_instance_id: 'i', tenant_id: 't', timeline_id: '1' };
  let attached: typeof labels | null = null;
  followAttached(metrics, lifecycle, () => attached);
  const shown = async (): Promise<string[]> =>
    samples(await metrics.render()).filter((line) => line.startsWith('pg_cctl_attached'));
  expect(await shown()).toEqual([]);
  for (const [from, to] of [
    ['empty', 'configuration_pending'],
    ['configuration_pending', 'init'],
  ] as const) {
    attached = { ...labels, timeline_id: to };
    lifecycle.move(from, to);
    expect(await shown()).toEqual([
      `pg_cctl_attached{pg_compute_id="c",pg_instance_id="i",tenant_id="t",timeline_id="${to}"} 1`,
    ]);
  }
});

test('what was counted before prom-client is loaded is there, however much it was', async () => {
  const metrics = new Metrics();
  for (let i = 0; i < 1200; i++) metrics.inc('compute_ctl_vm_monitor_connections_total');
  metrics.set('compute_ctl_vm_monitor_listening', 1);
  expect(samples(await metrics.render())).toEqual(
    expect.arrayContaining([
      'compute_ctl_vm_monitor_connections_total 1200',
      'compute_ctl_vm_monitor_listening 1',
    ]),
  );
});
