import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const rulesFile = join(root, 'packaging/prometheus/compute.rules.yml');

/** Prometheus' own tools: of this machine, or where `scripts/setup.mjs` unpacks them; null where there are none. */
export function prometheusTool(name: 'promtool' | 'prometheus'): string | null {
  const dirs = [...(process.env['PATH'] ?? '').split(':'), join(root, 'node_modules/.cache/prometheus')];
  return dirs.map((dir) => join(dir, name)).find((path) => existsSync(path)) ?? null;
}

export function promtool(args: readonly string[], input = ''): string {
  const tool = prometheusTool('promtool');
  if (tool === null) throw new Error('promtool is missing');
  try {
    return execFileSync(tool, args, { encoding: 'utf8', input, stdio: 'pipe' });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`promtool ${args.join(' ')}\n${stdout}${stderr}`, { cause: error });
  }
}

/** The answer of `/metrics`; null: there was none. */
export type Scrape = string | null;

const intervalS = 15;
const target = 'instance="compute-1:3080",job="compute"';

/** The scrapes as the input of `promtool test rules`: 15 seconds apart, the last one repeated for `holdS`. promtool's clock
 *  begins in 1970, so the moments in the scrapes are counted from `nowS`. */
export function inputSeries(scrapes: readonly Scrape[], holdS: number, nowS: number): object[] {
  const slots = scrapes.map((scrape) => samples(scrape, nowS));
  const names = new Set(slots.flatMap((slot) => [...slot.keys()]));
  return [...names].map((series) => {
    const values = slots.map((slot) => slot.get(series) ?? '_');
    const last = values.at(-1);
    const hold = Math.ceil(holdS / intervalS);
    return { series, values: [...values, last === '_' ? `_x${hold}` : `${last}+0x${hold}`].join(' ') };
  });
}

const isMoment = (name: string): boolean => /_start_time_seconds$/.test(name);

function samples(scrape: Scrape, nowS: number): Map<string, string> {
  const found = new Map([[`up{${target}}`, scrape === null ? '0' : '1']]);
  for (const line of scrape?.split('\n') ?? []) {
    const [, name = '', labels, value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === '') continue;
    const number = Number(value);
    const shifted = isMoment(name) && number > 0 ? number - nowS : number;
    found.set(`${name}{${labels === undefined ? '' : `${labels},`}${target}}`, String(shifted));
  }
  return found;
}

export interface Question {
  readonly expr: string;
  readonly samples: readonly { readonly labels: string; readonly value: number }[];
}

/** Asks `promtool test rules` at the end of the series. Throws with what it got instead. */
export function askRules(
  dir: string,
  scrapes: readonly Scrape[],
  questions: readonly Question[],
  { holdS = 900, rules = rulesFile, nowS = Date.now() / 1000 } = {},
): void {
  const atS = (scrapes.length - 1) * intervalS + holdS;
  const test = {
    rule_files: [rules],
    evaluation_interval: `${intervalS}s`,
    tests: [
      {
        interval: `${intervalS}s`,
        input_series: inputSeries(scrapes, holdS, nowS),
        promql_expr_test: questions.map(({ expr, samples }) => ({
          expr,
          eval_time: `${atS}s`,
          exp_samples: samples,
        })),
      },
    ],
  };
  const file = join(dir, 'test.json');
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(test, null, 1));
  promtool(['test', 'rules', file]);
}

/** Which alerts fire, asked as a question with exactly this answer. */
export const firing = (alerts: readonly string[]): Question => ({
  expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
  samples: alerts.map((alertname) => ({ labels: `{alertname="${alertname}"}`, value: 1 })),
});

/** Prometheus itself with our rules, looking five times a second. The caller ends it. */
export function startPrometheus(dir: string, web: string, compute: string): ChildProcess {
  const program = prometheusTool('prometheus');
  if (program === null) throw new Error('prometheus is missing');
  const config = {
    global: { scrape_interval: '200ms', scrape_timeout: '200ms', evaluation_interval: '200ms' },
    rule_files: [rulesFile],
    scrape_configs: [{ job_name: 'compute', static_configs: [{ targets: [compute] }] }],
  };
  const file = join(dir, 'prometheus.json');
  writeFileSync(file, JSON.stringify(config));
  const data = join(dir, 'data');
  mkdirSync(data, { recursive: true });
  const args = [`--config.file=${file}`, `--storage.tsdb.path=${data}`, `--web.listen-address=${web}`];
  return spawn(program, args, { stdio: 'ignore' });
}
