import { errorCodes } from '../core/errors.ts';
import { code, page, table } from './markdown.ts';

export const errorsPage = (): string =>
  page(
    'Errors',
    'Every expected failure has a code. The code decides the exit code when the failure ends the process, and the ' +
      'HTTP status when a request fails with it.',
    table(
      ['Code', 'Exit', 'HTTP', 'Meaning'],
      Object.entries(errorCodes).map(([name, { exit, http, doc }]) => [
        code(name),
        String(exit),
        String(http),
        doc,
      ]),
    ),
  );
