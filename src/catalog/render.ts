import type { PgTarget } from '../pg/target.ts';
import { sqlState } from '../pg/client.ts';
import { withDeadline } from '../core/clock.ts';
import type { CatalogInput } from './input.ts';
import { inspectDatabases } from './inspect.ts';
import { observe } from './observe.ts';
import { major } from './observed.ts';
import type { Unit } from './phase.ts';
import { PassSessions } from './pass-sessions.ts';
import { type Plan, planCatalog } from './plan.ts';
import { type CatalogLimits, defaultLimits, openSession } from './session.ts';
import { DatabaseLimits } from './database-limits.ts';
import { together } from './result.ts';
import { assertValid } from './validate.ts';

export interface PlanOutcome {
  /** 0: nothing to do. 3: something to do; 2 is a usage error's. */
  readonly exitCode: 0 | 3;
  readonly text: string;
}

/** The connection string may lead to any server. From this major on event triggers may run at the log-in, and must be
 *  switched off before it; the earlier ones do not know the setting. */
const sinceLoginTriggers = 17;
const unknownSetting = '42704';

/** Returns what `applyCatalog` would send to this server now. Only reads from the server.
 *  @throws what `applyCatalog` throws before its first statement */
export async function runPlan(
  input: CatalogInput,
  deps: {
    readonly target: PgTarget;
    readonly signal: AbortSignal;
    readonly json: boolean;
    readonly limits?: Partial<CatalogLimits>;
  },
): Promise<PlanOutcome> {
  assertValid(input);
  const limits = { ...defaultLimits, ...deps.limits };
  return withDeadline('planning the catalog pass', limits.overallMs, deps.signal, async (signal) => {
    const session = {
      target: deps.target,
      limits,
      signal,
      readOnly: true,
      applicationName: 'compute_ctl:plan',
    };
    const sessions = new PassSessions(session, () =>
      openSession({ ...session, target: { ...deps.target, major: sinceLoginTriggers } }).catch(
        (error: unknown) => {
          if (sqlState(error) !== unknownSetting) throw error;
          return openSession(session);
        },
      ),
    );
    try {
      const found = await observe(await sessions.main(), input);
      const { observed, unreadable } = await inspectDatabases(found, input, {
        ...session,
        sessions,
        databaseLimits: new DatabaseLimits(limits),
        target: { ...deps.target, major: major(found) },
      });
      if (unreadable.size > 0) throw together([...unreadable.values()]);
      const plan = planCatalog(input, observed);
      sessions.close();
      return { exitCode: plan.units.length === 0 ? 0 : 3, text: renderPlan(plan, { ...deps, ...input }) };
    } catch (error) {
      sessions.destroy();
      signal.throwIfAborted();
      throw error;
    }
  });
}

/** The statements by phase and database, in the order in which they would run, passwords masked. */
export const renderPlan = (plan: Plan, options: { json: boolean; systemDatabase: string }): string =>
  options.json ? asJson(plan, options.systemDatabase) : asText(plan, options.systemDatabase);

interface Group {
  readonly phase: string;
  readonly database: string;
  readonly units: Unit[];
}

function grouped(plan: Plan, systemDatabase: string): Group[] {
  const found: Group[] = [];
  for (const unit of plan.units) {
    const database = unit.database ?? systemDatabase;
    const last = found.at(-1);
    if (last?.phase === unit.phase && last.database === database) last.units.push(unit);
    else found.push({ phase: unit.phase, database, units: [unit] });
  }
  return found;
}

function asJson(plan: Plan, systemDatabase: string): string {
  const groups = grouped(plan, systemDatabase).map(({ phase, database, units }) => ({
    phase,
    database,
    objects: units.map(({ object, action, statements }) => ({
      object,
      action,
      statements: statements.map(String),
    })),
  }));
  const left = plan.skips.map(({ phase, object, reason }) => ({ phase, object, reason }));
  const notes = plan.notes.map(({ phase, object, text }) => ({ phase, object, text }));
  return `${JSON.stringify({ changes: plan.units.length, groups, left_alone: left, notes }, null, 2)}\n`;
}

function asText(plan: Plan, systemDatabase: string): string {
  const lines = grouped(plan, systemDatabase).flatMap(({ phase, database, units }) => [
    `-- ${phase}, in database ${JSON.stringify(database)}`,
    ...units.flatMap(({ object, action, statements }) => [
      `--   ${action} ${object}`,
      ...statements.map((statement) => `${String(statement)};`),
    ]),
    '',
  ]);
  const left = plan.skips.map(
    ({ phase, object, reason }) => `-- left alone by ${phase}: ${object}: ${reason}`,
  );
  const notes = plan.notes.map(({ phase, object, text }) => `-- noted by ${phase}: ${object}: ${text}`);
  if (lines.length === 0) lines.push('-- Nothing to do: the server is as the spec asks.');
  return `${[...lines, ...left, ...notes].join('\n')}\n`;
}
