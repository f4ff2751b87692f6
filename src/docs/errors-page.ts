import { errorCodes } from '../core/errors.ts';
import { states } from '../local/status/schema.ts';
import { code, page, table } from './markdown.ts';

/** Codes that are not those of an error, with who ends with them. */
const others: readonly (readonly [exit: number, who: string, doc: string])[] = [
  [0, 'all', 'Done; nothing is wrong.'],
  [
    1,
    'compute-local apply',
    'Something was not applied, or the question of `--prune` was not answered with yes.',
  ],
  [1, 'compute-local reset', 'The question was not answered with yes.'],
  [1, 'compute_ctl check', 'The config is not valid.'],
  [3, 'compute_ctl check', 'The config is valid, with warnings.'],
  [3, 'compute_ctl plan, compute-local plan', 'There is something to do.'],
  [states.stopped.exit, 'compute-local status', 'Nothing runs, or not yet: `status.md` has the states.'],
  [states.trouble.exit, 'compute-local status', states.trouble.doc],
];

function exitTable(): string {
  const byExit = new Map<number, string[]>();
  for (const [name, { exit }] of Object.entries(errorCodes))
    byExit.set(exit, [...(byExit.get(exit) ?? []), code(name)]);
  const errors = [...byExit].map(([exit, names]) => {
    const what =
      names.length > 3 ? 'An error, with its code on the last line.' : `The error ${names.join(', ')}.`;
    return [exit, 'all', what] as const;
  });
  const rows = [...others, ...errors].toSorted((a, b) => a[0] - b[0]);
  return table(
    ['Exit code', 'Of', 'Meaning'],
    rows.map(([exit, who, doc]) => [
      String(exit),
      who === 'all' ? who : who.split(', ').map(code).join(', '),
      doc,
    ]),
  );
}

export const errorsPage = (): string =>
  page(
    'Errors',
    'Every expected failure has a code. The code decides the exit code when the failure ends the process, and the ' +
      'HTTP status when a request fails with it. `GET /status` has it in `failure.code`, with the step, the SQLSTATE, ' +
      "PostgreSQL's last words and the hint; the last line of the log repeats them. The codes are stable: a runbook may rely on them.",
    table(
      ['Code', 'Exit', 'HTTP', 'Meaning', 'What to do'],
      Object.entries(errorCodes).map(([name, { exit, http, doc, act }]) => [
        code(name),
        String(exit),
        String(http),
        doc,
        act,
      ]),
    ),
    '## Exit codes',
    'Of `compute_ctl`, `compute-local` and `vm-monitor`. `compute-local psql` ends as psql does, and with 128 after a signal.',
    exitTable(),
  );
