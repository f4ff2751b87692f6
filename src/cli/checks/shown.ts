import { jsonLine } from '../../core/log.ts';
import type { Finding, Findings } from './finding.ts';

/** What makes the config invalid, in lines of text. The report on stdout has the rest. */
export const asLines = ({ errors }: Findings): string[] =>
  errors.flatMap(({ text, hint }) => [`Error: ${text}`, ...(hint === undefined ? [] : [`Hint: ${hint}`])]);

/** Everything that was found, one object for each: programs that read logs do not read the report. */
export const asObjects = ({ errors, warnings, unchecked }: Findings): string[] => [
  ...errors.map((one) => object('error', one)),
  ...warnings.map((one) => object('warn', one)),
  ...unchecked.map((what) => object('info', { text: `not checked: ${what}` })),
];

const object = (level: 'error' | 'warn' | 'info', { text, hint }: Finding): string =>
  jsonLine(level, hint === undefined ? {} : { hint }, text);
