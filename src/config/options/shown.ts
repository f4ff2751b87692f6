import type { OptionEntry } from './entry.ts';

/** Flag, letter and value, as help shows them. */
export const flagsOf = ({ short, flag, kind, value }: OptionEntry): string =>
  `${short === undefined ? '' : `${short}, `}${flag}${kind === 'flag' ? '' : ` <${value}>`}`;

/** The default, as people are told; null when there is none worth a word. */
export const defaultOf = ({ kind, fallback, fallbackDoc }: OptionEntry): string | null =>
  fallbackDoc ?? (kind === 'flag' || fallback === null ? null : String(fallback));
