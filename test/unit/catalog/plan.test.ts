import { expect, test } from 'vitest';
import type { Observed, ObservedDatabase } from '../../../src/catalog/observed.ts';
import { planCatalog } from '../../../src/catalog/plan.ts';
import { renderPlan } from '../../../src/catalog/render.ts';
import { type SpecParts, inputFor } from '../../pg/catalog/support.ts';

const target = { host: 'h', port: 1, user: 'cloud_admin', password: null, database: 'postgres', options: '' };

const database = (more: Partial<ObservedDatabase> = {}): ObservedDatabase => ({
  oid: 20_000,
  owner: 'ann',
  ownerIsSuperuser: false,
  connectable: true,
  invalid: false,
  template: false,
  untouchedAcl: false,
  builtIn: false,
  subscriptions: 0,
  defaultPrivileges: 2,
  publicMarked: true,
  schemaOwners: [],
  webAccess: false,
  ...more,
});

const role = (more: object = {}) => ({
  oid: 16_400,
  attributes: {
    superuser: false,
    inherit: true,
    createrole: true,
    createdb: true,
    login: true,
    replication: true,
    bypassrls: true,
    connectionLimit: -1,
    validUntil: null,
  },
  password: null,
  ...more,
});

const privileged = role({ attributes: { ...role().attributes, createrole: false, login: false } });

const observed = (more: Partial<Observed> = {}): Observed => ({
  at: '2026-01-02T03:04:05+00:00',
  version: 150_000,
  superuser: true,
  firstSuperuser: 'cloud_admin',
  searchPath: 'pg_catalog,pg_temp',
  preloaded: [],
  roles: new Map([
    ['neon_superuser', privileged],
    ['ann', role()],
    ['cloud_admin', role({ attributes: { ...role().attributes, superuser: true } })],
  ]),
  databases: new Map([['postgres', database({ builtIn: true })]]),
  references: new Map(),
  subscribers: new Map(),
  extensions: new Map(),
  available: new Map(),
  statementsObstructed: false,
  schemas: new Map(
    ['neon', 'neon_migration'].map((name) => [
      name,
      { name, owner: 'cloud_admin', trusted: true, tables: [] },
    ]),
  ),
  auditOfSystem: null,
  bookkeeping: {
    subscriptionsDroppedOn: null,
    subscriptionsLeftIn: new Set(),
    operationsDone: null,
    operationsDoneAlone: new Set(),
  },
  states: new Map(),
  ...more,
});

const statements = (parts: SpecParts, held: Observed): string[] =>
  planCatalog(inputFor(target, parts), held).units.flatMap((unit) => unit.statements.map(String));
const ann = { name: 'ann' };

test('nothing is planned where nothing is missing', () => {
  expect(statements({ roles: [ann] }, observed())).toEqual([]);
});

test('a role that has less than at its creation is left as it is, whoever made it', () => {
  const less = { ...role().attributes, login: false, createdb: false, bypassrls: false, inherit: false };
  const held = observed({
    roles: new Map([
      ['neon_superuser', privileged],
      ['ann', role({ attributes: less })],
    ]),
  });
  expect(statements({ roles: [ann] }, held)).toEqual([]);
  const options = [{ name: 'CREATEDB', vartype: 'bool' }];
  expect(statements({ roles: [{ ...ann, options }] }, held)).toEqual(['alter role "ann" createdb']);
});

test('CREATEROLE is given at creation where it does not lead to the operating system, and elsewhere only when asked for', () => {
  const made = (held: Partial<Observed>, options: object[] = []): string =>
    statements({ roles: [{ ...ann, options }] }, observed({ roles: new Map(), ...held })).join(';');
  const without = (text: string): string[] => text.match(/\b(?:no)?createrole\b/g) ?? [];
  expect(without(made({ version: 150_000 }))).toEqual(['nocreaterole']);
  expect(without(made({ version: 150_000 }, [{ name: 'CREATEROLE', vartype: 'bool' }]))).toEqual([
    'nocreaterole',
    'createrole',
  ]);
  expect(without(made({ version: 150_000, preloaded: ['neon'] }))).toEqual(['createrole', 'createrole']);
  expect(without(made({ version: 160_000 }))).toEqual(['createrole', 'createrole']);
});

test('deletions, renames and creations follow each other as the phases say', () => {
  const held = observed({
    roles: new Map([
      ['neon_superuser', privileged],
      ['ann', role()],
      ['old', role({ oid: 16_500 })],
      ['cloud_admin', role({ attributes: { ...role().attributes, superuser: true } })],
    ]),
    databases: new Map([
      ['gone', database({ template: true, subscriptions: 1 })],
      ['broken', database({ invalid: true })],
    ]),
    references: new Map([['old', [null, 'gone']]]),
  });
  const parts = {
    roles: [ann],
    databases: [{ name: 'gone', owner: 'ann' }],
    delta_operations: [
      { action: 'delete_db', name: 'gone' },
      { action: 'delete_role', name: 'old' },
    ],
  };
  const plan = planCatalog(inputFor(target, parts), held);
  expect(plan.units.map(({ phase, action, mode, database: at }) => [phase, action, mode, at])).toEqual([
    ['drop-subscriptions-of-deleted', 'drop subscriptions', 'session', 'gone'],
    ['drop-invalid-databases', 'drop invalid', 'bare', null],
    ['rename-and-delete-databases', 'drop', 'bare', null],
    ['databases', 'create', 'create', null],
    ['databases', 'grant', 'batch', null],
    ['delete-role-references', 'forbid log-ins', 'batch', null],
    ['delete-role-references', 'hand over to "neon_superuser"', 'session-in-turn', 'postgres'],
    ['schema-permissions', 'set privileges of schema public', 'session', 'gone'],
    ['drop-roles', 'drop', 'batch', null],
  ]);
  expect(plan.skips).toContainEqual(
    expect.objectContaining({
      object: 'database "gone"',
      reason: expect.stringContaining('created again, empty'),
      warn: true,
    }),
  );
});

test('everything that is bound to fail is reported at once', () => {
  const held = observed({ superuser: false, searchPath: 'public', version: 130_000 });
  const parts = { databases: [{ name: 'd', owner: 'nobody' }], audit_log_level: 'Log' };
  expect(() => statements(parts, held)).toThrow(
    [
      'catalog phase "preconditions", role "cloud_admin": is not a superuser',
      'catalog phase "preconditions", server: is version 130000, older than PostgreSQL 14',
      'catalog phase "preconditions", setting search_path: is not pg_catalog,pg_temp, so that names could mean objects of a user',
      'catalog phase "preconditions", database "d": its owner, role "nobody", does not exist',
      'catalog phase "audit", extension "pgaudit": audit_log_level Log needs it, but the server does not have it',
    ].join('\n'),
  );
});

test('an empty plan says so', () => {
  expect(renderPlan({ units: [], skips: [], notes: [] }, { json: false, systemDatabase: 'postgres' })).toBe(
    '-- Nothing to do: the server is as the spec asks.\n',
  );
  expect(
    JSON.parse(renderPlan({ units: [], skips: [], notes: [] }, { json: true, systemDatabase: 'postgres' })),
  ).toEqual({
    changes: 0,
    groups: [],
    left_alone: [],
    notes: [],
  });
});

test('the superuser from initdb cannot be deleted, and keeps its log-in', () => {
  const parts = { delta_operations: [{ action: 'delete_role', name: 'first' }] };
  const held = observed({ roles: new Map([...observed().roles, ['first', role({ oid: 10 })]]) });
  expect(() => statements(parts, held)).toThrow(/role "first": PostgreSQL itself requires it/);
});

test('before PostgreSQL 16 nothing is handed over while the subscriptions of the role could not be', () => {
  const parts = { delta_operations: [{ action: 'delete_role', name: 'old' }] };
  const held = observed({
    roles: new Map([...observed().roles, ['old', role()]]),
    databases: new Map([...observed().databases, ['app', database()]]),
    references: new Map([['old', [null]]]),
    subscribers: new Map([['old', ['app']]]),
  });
  const units = (version: number): [string, number][] =>
    planCatalog(inputFor(target, parts), { ...held, version }).units.map((unit) => [
      unit.action,
      unit.requires.length,
    ]);
  expect(units(150_000)).toEqual([
    ['forbid log-ins', 0],
    ['hand over subscriptions', 0],
    ['hand over to "neon_superuser"', 1],
    ['drop', 1],
  ]);
  expect(units(160_000)).toEqual([
    ['forbid log-ins', 0],
    ['hand over to "neon_superuser"', 0],
    ['drop', 1],
  ]);
});
