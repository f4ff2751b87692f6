import { catalogInput } from '../catalog/input.ts';
import { assertValid } from '../catalog/validate.ts';
import { renderCheck } from './check-report.ts';
import { parseConnstr } from '../pg/connstr.ts';
import { loadConfig } from '../config/load.ts';
import type { Options } from '../config/options.ts';
import { timeLimit } from '../core/clock.ts';
import { createLog } from '../core/log.ts';
import { assertServable } from '../services/unbuilt.ts';
import { renderConf } from '../postgres/conf.ts';

const localConnstr = 'postgresql://cloud_admin@localhost/postgres';

/** `compute_ctl check`: everything a start would object to, found without touching anything.
 *  @returns what to print
 *  @throws ComputeError as a start would */
export async function check(options: Options, json: boolean, env: NodeJS.ProcessEnv): Promise<string> {
  const signal = timeLimit(options.controlPlaneTimeoutSeconds * 4000);
  // The notes are part of the output.
  const log = createLog({ format: options.logFormat, level: 'silent' });
  const loaded = await loadConfig(options, { signal, log, env, onControlPlaneAttempt: () => {} });
  if (loaded.spec !== null) {
    const target = parseConnstr(options.connstr ?? localConnstr);
    const privilegedRole = options.privilegedRoleName;
    assertServable(loaded.spec);
    assertValid(catalogInput(loaded.spec, { target, privilegedRole, stage: 'start' }));
    renderConf(loaded.spec, {
      internalHttpPort: options.internalHttpPort,
      privilegedRole,
      tls: loaded.config.tls !== null,
      strictOvercommit: false,
      subscriptionsDropped: false,
      serviceLines: [],
    });
  }
  return `${renderCheck(loaded, options, json)}\n`;
}
