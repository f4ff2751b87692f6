import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PgTarget } from '../../../src/pg/target.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { apply, inputFor, query } from '../catalog/support.ts';
import { type Entry, type Membership, type Rights, cascade, held, memberships, rightsIn } from './rights.ts';
import { type Step, attempt, setUp, sqlOf, steps } from './webs.ts';

/** How many random webs for each major; more of them, from another seed each time, with `DELETE_ROLE_WEBS=100`. */
const asked = process.env['DELETE_ROLE_WEBS'];
const webs = Number(asked ?? 2);

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  beforeAll(async () => {
    const conf = `allow_in_place_tablespaces=on\nautovacuum=off\nmax_logical_replication_workers=0`;
    cluster = await startCluster({ postgres, conf });
    await apply(cluster, inputFor(cluster.target, {}));
  });
  afterAll(() => cluster.stop());

  test('whatever web of grants, memberships and ownership a role is part of, it goes and nothing else does', async () => {
    let run = 0;
    const property = fc.asyncProperty(steps, async (web) => check(cluster.target, `w${++run}`, web));
    const seed = asked === undefined ? { seed: postgres.major } : {};
    const {
      failed,
      counterexample,
      seed: used,
      errorInstance,
    } = await fc.check(property, {
      numRuns: webs,
      endOnFailure: true,
      ...seed,
    });
    if (!failed) return;
    const statements = counterexample?.[0].map((step) => {
      const { actors, text } = sqlOf(step, `w${run}`, postgres.major);
      return `/* database ${step.database}, ${actors.join()} */ ${text};`;
    });
    throw new Error(`failed with seed ${used}, web ${run}:\n${statements?.join('\n')}`, {
      cause: errorInstance,
    });
  }, 600_000);

  /** @param web its statements run as roles that may not be allowed to; those that fail are left out */
  async function check(target: PgTarget, prefix: string, web: readonly Step[]): Promise<void> {
    const databases = ['a', 'b'].map((name) => `${prefix}${name}`);
    const names = [target.database, ...databases];
    await setUp(target, prefix, databases);
    await attempt(
      target,
      web.map((step) => ({
        ...sqlOf(step, prefix, postgres.major),
        database: names[step.database] ?? target.database,
      })),
    );
    const gone = `${prefix}r0`;
    const all = (): Promise<Rights[]> =>
      Promise.all(names.map((database, at) => rightsIn({ ...target, database }, at === 0)));
    const before = { rights: await all(), members: await memberships(target) };
    const owners = await query<{ name: string; owner: string }>(
      target,
      'select datname as name, pg_get_userbyid(datdba) as owner from pg_database where datname = any ($1)',
      [databases.slice(0, 1)],
    );
    const parts = {
      // The web may have given it to the role that goes.
      databases: owners.filter(({ owner }) => owner !== gone),
      delta_operations: [{ action: 'delete_role', name: gone }],
    };
    await apply(cluster, inputFor(target, parts));
    const after = { rights: await all(), members: await memberships(target) };
    expect(await query(target, 'select from pg_roles where rolname = $1', [gone])).toEqual([]);
    expect(without(after.members, gone)).toEqual(without(before.members, gone));
    for (const [at, now] of after.rights.entries()) compare(before.rights[at] as Rights, now, gone);
  }
});

const without = (members: readonly Membership[], gone: string): Membership[] =>
  members.filter(({ role, member }) => role !== gone && member !== gone);

function compare(before: Rights, after: Rights, gone: string): void {
  expect(after.inconsistent).toEqual([]);
  // Everything is there, and only what the role owned has another owner.
  const strays = [...before.owners].filter(
    ([object, owner]) => owner !== gone && after.owners.get(object) !== owner,
  );
  expect(strays).toEqual([]);
  const objectsOf = ({ entries }: Rights): Set<string> => new Set(entries.map(({ object }) => object));
  const still = objectsOf(after);
  expect(
    [...objectsOf(before)].filter((object) => !still.has(object) && !/^parameter|column/.test(object)),
  ).toEqual([]);
  const heirs = new Map(after.entries.map(({ object, owner }) => [object, owner]));
  const to = (object: string, name: string): string => (name === gone ? (heirs.get(object) ?? name) : name);
  const lost = cascade(before.entries, gone);
  const others = before.entries.filter((entry) => entry.owner === gone || entry.grantee !== gone);
  const moved = (entries: readonly Entry[]): Entry[] =>
    entries.map((entry) =>
      entry.owner === gone
        ? { ...entry, owner: to(entry.object, gone), grantee: to(entry.object, entry.grantee) }
        : entry,
    );
  const now = held(after.entries);
  const most = held(moved(others));
  const least = held(moved(others.filter((entry) => !lost.has(entry))));
  expect(missing(least, now)).toEqual([]);
  expect(missing(now, most)).toEqual([]);
  expect(after.entries.filter(({ grantor, grantee }) => grantor === gone || grantee === gone)).toEqual([]);
  const unrelated = ({ owner, grantee }: Entry): boolean =>
    owner !== gone && grantee !== gone && grantee !== 'neon_superuser';
  expect(held(after.defaults.filter(unrelated))).toEqual(held(before.defaults.filter(unrelated)));
  const policies = [...before.policies]
    .map(([name, roles]): [string, string[]] => [name, roles.filter((role) => role !== gone)])
    .filter(([, roles]) => roles.length > 0);
  expect(after.policies).toEqual(new Map(policies));
}

/** Rights of `some` that `others` lack. */
const missing = (some: ReadonlyMap<string, boolean>, others: ReadonlyMap<string, boolean>): string[] =>
  [...some].flatMap(([right, grantable]) => {
    const other = others.get(right);
    return other === undefined || (grantable && !other) ? [right] : [];
  });
