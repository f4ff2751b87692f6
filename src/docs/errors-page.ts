import { errorCodes } from '../core/errors.ts';
import { code, page, table } from './markdown.ts';

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
  );
