import type { GenericOption } from '../spec/schema.ts';

/** A role's attributes, as in `pg_authid`. */
export interface RoleAttributes {
  readonly superuser: boolean;
  readonly inherit: boolean;
  readonly createrole: boolean;
  readonly createdb: boolean;
  readonly login: boolean;
  readonly replication: boolean;
  readonly bypassrls: boolean;
  /** -1 for no limit. */
  readonly connectionLimit: number;
  /** Microsecond precision is not kept: milliseconds since 1970, `infinity`, or null for never set. */
  readonly validUntil: number | 'infinity' | null;
}

export type Wanted = Partial<RoleAttributes>;

export const flags = [
  'superuser',
  'inherit',
  'createrole',
  'createdb',
  'login',
  'replication',
  'bypassrls',
] as const;

/** Attributes of the spec's roles when compute_ctl creates them, besides CREATEROLE; the spec's options override them. */
export const spoken = {
  inherit: true,
  createdb: true,
  bypassrls: true,
  replication: true,
} as const satisfies Wanted;

/** A timestamp of the spec or of the server as in `RoleAttributes`; without a zone it is taken as UTC. */
export function parseValidUntil(text: string): number | 'infinity' | null {
  if (text === 'infinity') return 'infinity';
  const parts =
    /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)?$/i.exec(text);
  if (parts === null) return null;
  const [, day, time = '00:00:00', zone = 'Z'] = parts;
  const shift = /^(?:Z|UTC)$/i.test(zone) ? 'Z' : zone.length === 3 ? `${zone}:00` : zone;
  const at = Date.parse(`${day}T${time}${shift}`);
  return Number.isNaN(at) ? null : at;
}

/** The attribute that an option of the spec sets; null when `pg_authid` does not show it. */
export function attributeOf(option: GenericOption): Wanted | null {
  const name = option.name.trim().replaceAll(/\s+/g, ' ').toLowerCase();
  const flag = flags.find((one) => name === one || name === `no${one}`);
  if (flag !== undefined)
    return option.value === null || option.value === '' ? { [flag]: name === flag } : null;
  if (option.value === null) return null;
  if (name === 'connection limit' && /^-?\d{1,9}$/.test(option.value)) {
    return { connectionLimit: Number(option.value) };
  }
  if (name === 'valid until') {
    const validUntil = parseValidUntil(option.value);
    return validUntil === null ? null : { validUntil };
  }
  return null;
}

/** The attributes that the spec's options set explicitly. */
export const explicit = (options: readonly GenericOption[] | null): Wanted =>
  Object.assign({}, ...(options ?? []).map((option) => attributeOf(option) ?? {})) as Wanted;

/** The part of `wanted` that differs from `held`. */
export function lacking(wanted: Wanted, held: RoleAttributes): Wanted {
  const entries = Object.entries(wanted).filter(
    ([key, value]) => held[key as keyof RoleAttributes] !== value,
  );
  return Object.fromEntries(entries);
}
