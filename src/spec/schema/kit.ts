import * as v from 'valibot';
import { parseLsn } from '../../core/lsn.ts';
import { Secret } from '../../core/secret.ts';

/** A schema's notes for error messages and the reference page, in addition to valibot's own description. */
export interface Notes {
  /** The name of a valid value in messages and the reference: `32 hex digits`. */
  readonly expected?: string;
  /** The value must not appear in messages. */
  readonly secret?: boolean;
  /** JSON must write the number without a fraction. */
  readonly integer?: boolean;
  /** Known members without an effect, which are not reported as unknown. */
  readonly ignored?: readonly string[];
}

/** Typed, so that a misspelt note does not compile. */
export const notes = <T>(entries: Notes): v.MetadataAction<T, Notes & Record<string, unknown>> =>
  v.metadata({ ...entries });

/** A member that must be present and not null. */
export const required = <S extends v.GenericSchema>(schema: S, doc: string) =>
  v.pipe(schema, v.description<v.InferOutput<S>, string>(doc));

/** A member that may be absent or null; null after parsing. */
export const optional = <S extends v.GenericSchema>(schema: S, doc: string) =>
  v.pipe(v.nullish(schema, null), v.description(doc));

/** A member with a default for when it is absent; an explicit null is an error. */
export const fallback = <S extends v.GenericSchema, const D extends v.InferInput<S>>(
  schema: S,
  value: D,
  doc: string,
) => v.pipe(v.optional(schema, value), v.description(doc));

/** A whole number of the given range, both ends included. */
export const int = (min: number, max: number) =>
  v.pipe(
    v.number(),
    v.safeInteger(),
    v.minValue(min),
    v.maxValue(max),
    notes({ integer: true, expected: `integer${rangeText(min, max)}` }),
  );

function rangeText(min: number, max: number): string {
  if (max !== Number.MAX_SAFE_INTEGER) return ` from ${min} to ${max}`;
  return min === Number.MIN_SAFE_INTEGER ? '' : ` of ${min} or more`;
}

export const bytes = () => int(0, Number.MAX_SAFE_INTEGER);
export const uint32 = () => int(0, 0xffff_ffff);

/** A string that no log, message or listing shows. */
export const secret = () =>
  v.pipe(
    v.string(),
    notes({ secret: true, expected: 'string' }),
    v.transform((text) => new Secret(text)),
  );

/** An id of tenant or timeline; lower case after parsing. */
export const hexId = () =>
  v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/i), notes({ expected: '32 hex digits' }), v.toLowerCase());

export const lsnText = () =>
  v.pipe(
    v.string(),
    v.trim(),
    v.check((text) => parseLsn(text) !== null),
    notes({ expected: 'LSN such as "0/1698F48"' }),
  );
