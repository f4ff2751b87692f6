import type { OptionEntry } from './entry.ts';

/** Flag, letter and value, as the help shows them. */
export const flagsOf = ({ short, flag, kind, value }: OptionEntry): string =>
  `${short === undefined ? '' : `${short}, `}${flag}${kind === 'flag' ? '' : ` <${value}>`}`;

/** The default, as the help shows it; null when there is none to show. */
export const defaultOf = ({ kind, fallback, fallbackDoc }: OptionEntry): string | null =>
  fallbackDoc ?? (kind === 'flag' || fallback === null ? null : String(fallback));
