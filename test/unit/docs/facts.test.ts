import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { isChecked, wrongFacts } from '../../../src/docs/check/facts.ts';
import { readRepository } from '../../../src/docs/check/repository.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const repository = readRepository(root);
const pages = [...repository.files]
  .filter(isChecked)
  .map((file) => ({ file, text: readFileSync(`${root}/${file}`, 'utf8') }));

const inPage = (text: string, file = 'docs/page.md'): string[] =>
  wrongFacts([{ file, text }], repository, []);

test('whatever README, CONTRIBUTING, CHANGELOG, docs and examples name exists', () => {
  expect(wrongFacts(pages, repository)).toEqual([]);
  expect(pages.map(({ file }) => file)).toEqual(
    expect.arrayContaining(['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/reference/errors.md']),
  );
});

/** A fault of each kind, as it stands in a page, and the name that is reported. */
const faults: Readonly<
  Record<string, readonly (readonly [markdown: string, name: string, isIt?: string])[]>
> = {
  option: [
    ['`--stop-timout`', '--stop-timout', '--stop-timeout'],
    ['`--compute-idd x`', '--compute-idd', '--compute-id'],
    ['`-Q`', '-Q'],
    ['`compute_ctl -D pgdata --dir x`', '--dir'],
    ['`compute-local status --name x`', '--name'],
    ['`compute-local up --replica [--nam NAME]`', '--nam', '--name'],
    ['`compute_ctl check --yes`', '--yes'],
    ['`vm-monitor --filecache-connstr x`', '--filecache-connstr'],
    ['```sh\ncompute_ctl -D x -C y \\\n  --pgbinn z\n```', '--pgbinn', '--pgbin'],
    ['```sh\nurl=$(compute-local url --direct)\n```', '--direct'],
    ['```sh\npsql "$(compute-local url --direct)"\n```', '--direct'],
    ['```console\n$ node dist/compute-local.js up --replicas\n```', '--replicas', '--replica'],
    ['```sh\ntimeout 60 /usr/bin/compute-local up --replicas\n```', '--replicas', '--replica'],
    ['```ini\nExecStart=/usr/bin/compute_ctl -D x --compact-at 1GB\n```', '--compact-at'],
    ['```yaml\ncommand: ["compute-local", "up", "--replicas"]\n```', '--replicas', '--replica'],
    ['Say --start-timout for that.', '--start-timout', '--start-timeout'],
    ['```sh\ntrue # or with --start-timout\n```', '--start-timout', '--start-timeout'],
  ],
  command: [
    ['`compute-local strat`', 'compute-local strat', 'start'],
    ['`compute_ctl chek -c x`', 'compute_ctl chek', 'check'],
    ['`node dist/compute-loca.js up`', 'dist/compute-loca.js', 'compute-local'],
    ['```sh\ncd x && compute-local halt\n```', 'compute-local halt'],
    ['```sh\nsudo compute-local halt | cat\n```', 'compute-local halt'],
  ],
  route: [
    ['`GET /statuz`', '/statuz', '/status'],
    ['`POST /status`', 'POST /status', 'GET /status'],
    ['`/readyzz`', '/readyzz', '/readyz'],
    ['`/lfd/*`', '/lfd/*'],
    ['`POST /terminate?mood=fast`', '?mood=', 'mode'],
    ['```sh\ncurl -s http://127.0.0.1:3080/livezz\n```', '/livezz', '/livez'],
    ['```sh\ncurl -s "http://localhost:3081/livezz"\n```', '/livezz', '/livez'],
    ['```\ncompute_ctl --- HTTP :3080  /statuz\n```', '/statuz', '/status'],
    ['Send POST /configur then.', '/configur', '/configure'],
    ['## GET /statuz', '/statuz', '/status'],
  ],
  metric: [
    ['`compute_pg_downtime_total`', 'compute_pg_downtime_total'],
    ['`compute_ctl_failed_database`', 'compute_ctl_failed_database', 'compute_ctl_failed_databases'],
    ['`pg_cctl_atached`', 'pg_cctl_atached', 'pg_cctl_attached'],
    ['`compute_ctl_upp{status="running"}`', 'compute_ctl_upp', 'compute_ctl_up'],
  ],
  'error code': [
    ['`spec_shap`', 'spec_shap', 'spec_shape'],
    ['`postgres_missng`', 'postgres_missng', 'postgres_missing'],
  ],
  variable: [
    ['`COMPUTE_CTL_PGDATA`', 'COMPUTE_CTL_PGDATA'],
    ['`NEON_CONTROL_PLANE_TOKN`', 'NEON_CONTROL_PLANE_TOKN', 'NEON_CONTROL_PLANE_TOKEN'],
    ['Set NEON_CONTROL_PLANE_TOKN first.', 'NEON_CONTROL_PLANE_TOKN', 'NEON_CONTROL_PLANE_TOKEN'],
    ['```sh\nCOMPUTE_LOCAL_DIRR=x compute-local up\n```', 'COMPUTE_LOCAL_DIRR', 'COMPUTE_LOCAL_DIR'],
  ],
  'spec field': [
    ['`tenant_idd`', 'tenant_idd', 'tenant_id'],
    ['`spec.cluster.rolls`', 'rolls', 'roles'],
    ['`spec.cluster.roles[].password`', 'password'],
    ['`compute_ctl_config.jwks.key`', 'key', 'keys'],
    ['```json\n{ "spec": { "clustre": {} } }\n```', 'clustre', 'cluster'],
  ],
  file: [
    ['`src/cli/mian.ts`', 'src/cli/mian.ts', 'src/cli/main.ts'],
    ['`cli/mian.ts`', 'cli/mian.ts'],
    ['`docs/operations.md`', 'docs/operations.md'],
    ['`test/pg/even`', 'test/pg/even'],
    ['`examples/nothing.json`', 'examples/nothing.json'],
    ['`lokal.json`', 'lokal.json', 'local.json'],
    ['See docs/operations.md for that.', 'docs/operations.md'],
    ['```\nsrc/mian.ts -> src/cli/main.ts\n```', 'src/mian.ts'],
    ['`log/compute-ctl.log`', 'log/compute-ctl.log', 'compute_ctl.log'],
    ['`test/pg/odd/remove-role*.test.ts`', 'test/pg/odd/remove-role*.test.ts'],
  ],
  script: [
    ['`npm run tests`', 'npm run tests'],
    ['`npm run bench:starts -- --runs 3`', 'npm run bench:starts', 'bench:start'],
    ['`npm run bench:start -- --rums 3`', '--rums'],
    ['```sh\nnpm run bild && npm start\n```', 'npm run bild', 'build'],
  ],
  link: [
    ['[a](operatin.md)', 'operatin.md', 'docs/operating.md'],
    ['[a](../READM.md)', '../READM.md', 'README.md'],
    ['[a](#nowhere)', '#nowhere'],
    ['# Some words\n\n[a](page.md#some-word)', '#some-word', 'some-words'],
    ['[a][b]\n\n[b]: operatin.md', 'operatin.md'],
    ['| [a](operatin.md) |\n|---|\n| b |', 'operatin.md'],
    ['<a href="operatin.md">a</a>', 'operatin.md'],
    ['![a](picture.png)', 'picture.png'],
    ['[a](http://[)', 'http://['],
  ],
};

describe.each(Object.entries(faults))('a wrong %s is reported', (_, cases) => {
  test.each(cases)('%j', (markdown, name = '', isIt = '') => {
    const wrong = inPage(`# Page\n\n${markdown}\n`);
    const about = wrong.filter((line) => line.includes(name) && line.includes(isIt && `is it ${isIt}`));
    expect(about).not.toEqual([]);
    for (const line of about) expect(line).toMatch(/^docs\/page\.md:[3-9]: the /);
  });
});

test('each fault is reported with the line it stands in, also in tables, lists and wrapped paragraphs', () => {
  const text = [
    '# Page',
    '',
    'Good: `--stop-timeout`, `--stop-timeout` and',
    'bad: `--stop-timout`.',
    '',
    '| a | b |',
    '|---|---|',
    '| `-c` \\| `-p` | good |',
    '| `spec_shape` | `spec_shap` |',
    '',
    '- `GET /status`',
    '  - `GET /statuz`',
    '',
    '> `compute-local halt`',
    '',
    '```sh',
    'compute-local up &',
    '',
    'compute-local halt',
    '```',
    '`lokal.json`',
  ].join('\n');
  expect(inPage(text).map((line) => line.split(': ')[0])).toEqual(
    [4, 9, 12, 14, 19, 21].map((line) => `docs/page.md:${line}`),
  );
});

test('a history is not judged by what is gone, but its links are', () => {
  const text = 'The option `--gone` of `compute-local halt`: [why](docs/gone.md)';
  expect(inPage(text, 'CHANGELOG.md')).toHaveLength(1);
});

test('what a test has printed into a page is not judged, but what the page itself says is', () => {
  const text = '```\n$ compute_ctl chek --con x\n```\n\nIn `work_memm`: give --confg.';
  expect(inPage(text, 'docs/troubleshooting.md')).toEqual([expect.stringContaining('--confg')]);
});

test('an exception allows its names alone, and one that no page needs is reported', () => {
  const text = '`--theirs` and `--ours-not`';
  const exceptions = [{ why: 'a program of others', names: ['--theirs', '--gone'] }];
  const wrong = wrongFacts([{ file: 'docs/page.md', text }], repository, exceptions);
  expect(wrong).toEqual([
    expect.stringContaining('--ours-not'),
    expect.stringMatching(/no page needs --gone: remove the exception/),
  ]);
});

test('what is right is not reported', () => {
  const text = [
    '`compute_ctl check -c config.json -i compute-1 -b postgres`, `compute-local psql -c "select 1" -- --any`,',
    '`GET /status`, `HEAD /livez`, `/lfc/*`, `POST /terminate?mode=immediate`, `http://127.0.0.1:3080/metrics`,',
    '`spec.cluster.roles[].encrypted_password`, `/var/lib/compute-local`, `npm run bench:idle -- --seconds 60`,',
    '`src/cli/`, `cli/main.ts`, `storage/<tenant>/<timeline>/`, `fsync = off`, `COMPUTE_LOCAL_DIR=x compute-local up`',
    '',
    '```sh',
    'curl -fsS --max-time 5 http://localhost:3080/readyz | jq -r .status  # or /livez',
    'PGPASSWORD=x psql --no-psqlrc "$(compute-local url --dir data)" > out.txt 2>&1',
    'pg_dump --format=custom --file=app.dump "$(compute-local url)" || exit 1',
    '```',
  ].join('\n');
  expect(inPage(text)).toEqual([]);
});
