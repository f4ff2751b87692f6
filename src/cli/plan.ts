import { catalogInput } from '../catalog/input.ts';
import { type PlanOutcome, runPlan } from '../catalog/render.ts';
import { parseConnstr } from '../pg/connstr.ts';
import { loadConfig } from '../config/load.ts';
import type { PlanOptions } from '../config/options.ts';
import { ComputeError } from '../core/errors.ts';
import { timeLimit } from '../core/clock.ts';
import { createLog } from '../core/log.ts';

const limitMs = 120_000;

/** `compute_ctl plan`: the statements that a catalog pass would send to the running Postgres. It only reads.
 *  @returns the text to print, ending in a line end, and the exit code: 0 without statements, 3 with some
 *  @throws ComputeError as a start would, up to its first statement */
export async function plan(
  options: PlanOptions,
  json: boolean,
  env: NodeJS.ProcessEnv,
): Promise<PlanOutcome> {
  const signal = timeLimit(limitMs);
  const log = createLog({ format: options.logFormat, level: 'silent' });
  const { spec } = await loadConfig(options, { signal, log, env, onControlPlaneAttempt: () => {} });
  if (spec === null)
    throw new ComputeError('spec_invalid', 'there is nothing to plan: the config has no spec');
  const target = parseConnstr(options.connstr);
  const input = catalogInput(spec, {
    target,
    privilegedRole: options.privilegedRoleName,
    stage: 'reconfigure',
    lakebase: options.lakebaseMode,
  });
  const { text, exitCode } = await runPlan(input, { target, signal, json });
  return { exitCode, text: `${text.trimEnd()}\n` };
}
