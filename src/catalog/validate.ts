import { ComputeError } from '../core/errors.ts';
import { nameFault, textFault } from '../core/sql.ts';
import { type JsonPath, showPath } from '../spec/path.ts';
import type { DeltaOp, GenericOption } from '../spec/schema.ts';
import type { CatalogInput } from './input.ts';
import { passwordFault } from './password.ts';
import { optionFault } from './role-options.ts';

export interface Problem {
  /** `spec.cluster.roles[1].name` */
  readonly path: string;
  readonly message: string;
}

type Report = (path: JsonPath, message: string) => void;

/** Finds the parts of the spec that the server would refuse or misunderstand; empty when there are none. */
export function validateCatalog(input: CatalogInput): Problem[] {
  const problems: Problem[] = [];
  const report: Report = (path, message) => problems.push({ path: showPath(['spec', ...path]), message });
  checkRoles(input, report);
  checkDatabases(input, report);
  input.spec.delta_operations?.forEach((op, at) =>
    checkOperation(input, op, ['delta_operations', at], report),
  );
  return problems;
}

/** @throws ComputeError `spec_invalid` with a line for each problem */
export function assertValid(input: CatalogInput): void {
  const problems = validateCatalog(input);
  if (problems.length === 0) return;
  throw new ComputeError(
    'spec_invalid',
    problems.map(({ path, message }) => `${path}: ${message}`).join('\n'),
  );
}

function checkRoles({ spec, privilegedRole }: CatalogInput, report: Report): void {
  const seen = new Map<string, number>();
  spec.cluster.roles.forEach((role, at) => {
    const path = ['cluster', 'roles', at];
    checkName(role.name, [...path, 'name'], report);
    checkReserved(role.name, [...path, 'name'], report);
    if (role.name === privilegedRole)
      report([...path, 'name'], 'is the privileged role, which is not a login role');
    checkTwice(seen, role.name, at, [...path, 'name'], 'roles', report);
    const fault = role.encrypted_password === null ? null : passwordFault(role.encrypted_password);
    if (fault !== null) report([...path, 'encrypted_password'], fault);
    checkOptions(role.options, [...path, 'options'], roleOptionFault, report);
  });
}

function checkDatabases({ spec }: CatalogInput, report: Report): void {
  const seen = new Map<string, number>();
  spec.cluster.databases.forEach((database, at) => {
    const path = ['cluster', 'databases', at];
    checkName(database.name, [...path, 'name'], report);
    checkTwice(seen, database.name, at, [...path, 'name'], 'databases', report);
    checkName(database.owner, [...path, 'owner'], report);
    checkOptions(database.options, [...path, 'options'], databaseOptionFault, report);
  });
}

function checkOperation(input: CatalogInput, op: DeltaOp, path: JsonPath, report: Report): void {
  const renames = op.action === 'rename_db' || op.action === 'rename_role';
  if (!renames && op.action !== 'delete_db' && op.action !== 'delete_role') return;
  checkName(op.name, [...path, 'name'], report);
  if (renames && op.new_name === null) report([...path, 'new_name'], `is missing, and ${op.action} needs it`);
  if (renames && op.new_name !== null) {
    checkName(op.new_name, [...path, 'new_name'], report);
    if (op.action === 'rename_role') checkReserved(op.new_name, [...path, 'new_name'], report);
  }
  if (op.action === 'delete_db' || op.action === 'rename_db') {
    if (op.name === input.systemDatabase) report([...path, 'name'], 'is the system database');
    return;
  }
  if (op.name === input.adminRole || op.name === input.privilegedRole) {
    report([...path, 'name'], 'is a role that compute_ctl itself needs');
  }
  checkReserved(op.name, [...path, 'name'], report);
  const owned = input.spec.cluster.databases.findIndex((database) => database.owner === op.name);
  if (op.action === 'delete_role' && owned !== -1) {
    report([...path, 'name'], `is deleted, but owns ${showPath(['spec', 'cluster', 'databases', owned])}`);
  }
}

function checkName(name: string, path: JsonPath, report: Report): void {
  const fault = nameFault(name);
  if (fault !== null) report(path, fault);
}

/** @see https://www.postgresql.org/docs/current/sql-createrole.html */
function checkReserved(name: string, path: JsonPath, report: Report): void {
  if (name.startsWith('pg_')) report(path, 'begins with "pg_", which is reserved for PostgreSQL itself');
  if (name === 'public' || name === 'none') report(path, 'is a reserved word and cannot name a role');
}

function checkTwice(
  seen: Map<string, number>,
  name: string,
  at: number,
  path: JsonPath,
  list: 'roles' | 'databases',
  report: Report,
): void {
  const first = seen.get(name);
  if (first === undefined) seen.set(name, at);
  else report(path, `${JSON.stringify(name)} is also ${showPath(['spec', 'cluster', list, first, 'name'])}`);
}

function checkOptions(
  options: readonly GenericOption[] | null,
  path: JsonPath,
  extra: (name: string) => string | null,
  report: Report,
): void {
  const seen = new Set<string>();
  options?.forEach((option, at) => {
    const name = option.name.trim().replaceAll(/\s+/g, ' ').toLowerCase();
    const twice = seen.has(name.replace(/^no/, ''))
      ? 'is given twice, or once with and once without NO'
      : null;
    seen.add(name.replace(/^no/, ''));
    const fault = optionFault(option) ?? textFault(option.value ?? '') ?? extra(name) ?? twice;
    if (fault !== null) report([...path, at], fault);
  });
}

function roleOptionFault(name: string): string | null {
  if (name === 'nologin') return 'contradicts that every role of the spec may log in';
  if (/^(?:encrypted |unencrypted )?password$/.test(name)) return 'a password belongs in encrypted_password';
  return null;
}

const databaseOptionFault = (name: string): string | null =>
  name === 'owner' ? 'the owner belongs in owner' : null;
