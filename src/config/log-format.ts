import type { LogFormat } from '../core/log.ts';

/** The format of the log that a command line asks for, also when the rest of it is wrong and cannot be read. */
export function logFormatOf(argv: readonly string[]): LogFormat {
  const json = argv.some(
    (word, at) => word === '--log-format=json' || (word === '--log-format' && argv[at + 1] === 'json'),
  );
  return json ? 'json' : 'text';
}
