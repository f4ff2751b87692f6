import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { metricDefinitions } from '../../src/metrics/definitions.ts';
import { type LocalRig, localRig, queryLocal } from '../support/local.ts';
import { eventually } from '../support/program.ts';
import { type Scrape, askRules, firing, promtool, prometheusTool } from '../support/prometheus.ts';
import { scratchDir } from '../support/scratch.ts';
import { strictly } from '../support/strict-types.ts';

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

const file = fileURLToPath(new URL('../../packaging/grafana/compute.json', import.meta.url));
const text = readFileSync(file, 'utf8');
const dashboard = JSON.parse(text) as { panels: Panel[]; templating: { list: { query: string }[] } };
const variables: Record<string, string> = { $job: 'compute', $instance: '.*' };
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ title, expr: expr.replaceAll(/\$\w+/g, (name) => variables[name] ?? name) })),
);

/** Families of our own, and what Prometheus adds to every target. */
const known = (name: string): boolean =>
  name === 'up' || Object.hasOwn(metricDefinitions, name.replace(/_(?:bucket|sum|count)$/, ''));

test('every metric that the dashboard names is one that is served', () => {
  const named = [...text.matchAll(/\b(?:compute|pg_cctl|process)_\w+(?=\{|\b, (?:job|instance)\))/g)].map(
    ([name]) => name,
  );
  expect(named.length).toBeGreaterThan(queries.length);
  expect(named.filter((name) => !known(name))).toEqual([]);
});

test('it is a dashboard by the types of Grafana, without a member that they do not have', () => {
  const type = { type: 'Dashboard', from: '@grafana/schema' };
  strictly([{ ...type, value: JSON.parse(text) }]);
  const wrong = { ...(JSON.parse(text) as object), tiele: 'Compute' };
  expect(() => strictly([{ ...type, value: wrong }])).toThrow('tiele');
}, 120_000);

describe.skipIf(prometheusTool('promtool') === null)('on the scrapes of a real compute', () => {
  const dir = scratchDir('dashboard');
  let local: LocalRig;
  const scrapes: Scrape[] = [];

  beforeAll(async () => {
    local = localRig();
    const { to } = await local.upAndReady();
    const url = `http://127.0.0.1:${local.state().ports['externalHttp']}/metrics`;
    for (let n = 0; n < 3; n++) {
      await queryLocal(to, `create table t${n} as select generate_series(1, 1000)`);
      const scrape = await eventually('all of its metrics', async () => {
        const found = await (await fetch(url)).text();
        const all =
          /compute_storage_disk_bytes\{/.test(found) && /compute_pg_walsender_lag_bytes\{/.test(found);
        return all ? found : undefined;
      });
      scrapes.push(scrape);
    }
  }, 150_000);
  afterAll(() => local.clean());

  test('no panel shows nothing', () => {
    const questions = queries.map(({ expr }) => ({
      expr: `count(${expr}) > bool 0`,
      samples: [{ labels: '{}', value: 1 }],
    }));
    // This compute runs without TLS, and so has no certificate.
    const certificate = 'compute_pg_certificate_expiry_seconds{file="server.crt"} 864000\n';
    expect(scrapes.join('')).not.toContain('compute_pg_certificate_expiry_seconds');
    const withTls = scrapes.map((scrape) => `${scrape ?? ''}${certificate}`);
    askRules(dir, withTls, questions, { holdS: 0 });
    expect(() =>
      askRules(dir, scrapes, [{ ...questions[0], expr: 'count(nothing) > bool 0' } as (typeof questions)[0]]),
    ).toThrow('nothing');
  });

  test('no alert fires', () => askRules(dir, scrapes, [firing([])]));

  test('promtool finds nothing wrong with the metrics but the names that the original has', () => {
    const found = execFailing(() => promtool(['check', 'metrics'], scrapes[0] ?? ''));
    const names = new Set([...found.matchAll(/^(\w+)[: ].*$/gm)].map(([, name = '']) => name));
    expect(
      [...names].filter(
        (name) =>
          !/^(?:promtool|compute_pg_(?:current_downtime_ms|downtime_ms_total|commits_stuck_ms))$/.test(name),
      ),
    ).toEqual([]);
  });
});

const execFailing = (work: () => string): string => {
  try {
    return work();
  } catch (error) {
    return (error as Error).message;
  }
};
