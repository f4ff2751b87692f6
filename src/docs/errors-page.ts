import { errorCodes } from '../core/errors.ts';
import { code, page, table } from './markdown.ts';

export const errorsPage = (): string =>
  page(
    'Errors',
    'Every expected failure has a code. It decides with which code the process exits when the failure ends it, and ' +
      'with which status HTTP answers when a request meets it.',
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
