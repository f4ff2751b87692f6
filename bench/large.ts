import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { parse } from 'valibot';
import { applyCatalog } from '../src/catalog/apply.ts';
import { catalogInput } from '../src/catalog/input.ts';
import { migrate } from '../src/catalog/migrate.ts';
import { migrations } from '../src/catalog/migration.ts';
import { type PgClient, withPg } from '../src/pg/client.ts';
import { computeSpecSchema } from '../src/spec/schema.ts';
import { type Cluster, startCluster } from '../test/support/cluster.ts';
import { type Rig, rig } from '../test/support/compute.ts';
import { benchDir } from './bench-dir.ts';

// `npm run bench:large -- --databases 10000 --roles 10000 --rounds 3`: starts of compute_ctl on a cluster with many databases
// and roles, with nothing to change, and with one change: a role with a new password, a new role and a new database.
// The cluster is made by hand: rows of the catalogs, and for each database a directory with the two files that a pageserver
// sends. Nothing opens those databases, as nothing does on a start of an unchanged spec. In memory by default: on some file
// systems a new file takes a millisecond, and a start creates 20,000.

const { values } = parseArgs({
  options: {
    databases: { type: 'string', default: '10000' },
    roles: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '3' },
    dir: { type: 'string', default: '/dev/shm' },
  },
});
const [databases, roles, rounds] = [values.databases, values.roles, values.rounds].map(Number) as [
  number,
  number,
  number,
];
const never = new AbortController().signal;
const log = pino({ level: 'silent' });
const [firstOid, firstRoleOid] = [100_000, 500_000];
/** Memory is looked at after so many milliseconds without work. */
const idleMs = 1500;

/** In a verifier's form; nobody logs in. */
const verifier = (): string =>
  `SCRAM-SHA-256$4096:${randomBytes(16).toString('base64')}$${randomBytes(32).toString('base64')}:${randomBytes(32).toString('base64')}`;
const passwords = Array.from({ length: roles }, verifier);

interface Parts {
  roles: object[];
  databases: object[];
  settings?: object[];
}
const rolesOf = (count: number): object[] =>
  Array.from({ length: count }, (_, at) => ({
    name: `r${at}`,
    encrypted_password: passwords[at],
    options: null,
  }));
const databasesOf = (count: number): object[] =>
  Array.from({ length: count }, (_, at) => ({ name: `d${at}`, owner: `r${at % roles}`, options: null }));

/** A cluster in which the spec with all of them is applied. */
async function makeCluster(): Promise<Buffer> {
  const cluster = await startCluster({ conf: 'autovacuum=off' });
  try {
    const cluster_: Parts = { roles: rolesOf(1), databases: databasesOf(1) };
    const spec = parse(computeSpecSchema, {
      format_version: 1,
      suspend_timeout_seconds: -1,
      cluster: cluster_,
    });
    const options = { target: cluster.target, privilegedRole: 'neon_superuser', stage: 'start' } as const;
    const input = catalogInput({ spec, timelineId: '0'.repeat(32) }, options);
    await applyCatalog(input, { target: cluster.target, log, signal: never });
    await migrate(migrations, {
      target: cluster.target,
      privilegedRole: 'neon_superuser',
      log,
      signal: never,
    });
    await withPg(cluster.target, { applicationName: 'bench', connectMs: 10_000, signal: never }, multiply);
    return await backUp(cluster);
  } finally {
    await cluster.stop();
  }
}

/** Makes the others after the first role and the first database. */
async function multiply(pg: PgClient): Promise<void> {
  await pg.query('set allow_system_table_mods = on');
  // CREATE ROLE takes the longer the more roles there are.
  await pg.query({
    text: `insert into pg_authid select (jsonb_populate_record(a, jsonb_build_object(
        'oid', ${firstRoleOid} + p.at - 1, 'rolname', 'r' || p.at - 1, 'rolpassword', p.password))).*
      from pg_authid a, pg_catalog.unnest($1::pg_catalog.text[]) with ordinality p(password, at)
      where a.rolname = 'r0' and p.at > 1`,
    values: [passwords],
  });
  await pg.query(`insert into pg_auth_members select (jsonb_populate_record(m, jsonb_build_object('member', a.oid::text))).*
    from pg_auth_members m join pg_authid r on r.oid = m.member, pg_authid a
    where r.rolname = 'r0' and a.oid > ${firstRoleOid}`);
  const others = `pg_catalog.generate_series(1, ${databases - 1}) i join pg_authid o on o.rolname = 'r' || i % ${roles}`;
  await pg.query(`insert into pg_database select (jsonb_populate_record(d, jsonb_build_object(
      'oid', ${firstOid} + i, 'datname', 'd' || i, 'datdba', o.oid::text, 'datacl', replace(d.datacl::text, 'r0', o.rolname)))).*
    from pg_database d, ${others} where d.datname = 'd0'`);
  const dependency = (changed: string): string =>
    `insert into pg_shdepend select (jsonb_populate_record(s, jsonb_build_object(${changed}))).*
     from pg_shdepend s, ${others}`;
  const first = `(select oid from pg_database where datname = 'd0')`;
  await pg.query(`${dependency(`'dbid', ${firstOid} + i`)} where s.dbid = ${first}`);
  await pg.query(
    `${dependency(`'objid', ${firstOid} + i, 'refobjid', case s.deptype when 'o' then o.oid else s.refobjid end::text`)}
     where s.dbid = 0 and s.classid = 1262 and s.objid = ${first}`,
  );
  await pg.query('checkpoint');
}

async function backUp({ postmaster, dataDir, target }: Cluster): Promise<Buffer> {
  const [template] = await withPg(
    target,
    { applicationName: 'bench', connectMs: 10_000, signal: never },
    async (pg) => {
      return (await pg.query<{ oid: number }>(`select oid from pg_database where datname = 'd0'`)).rows;
    },
  );
  const exited = once(postmaster, 'exit');
  postmaster.kill('SIGINT');
  await exited;
  for (let at = 1; at < databases; at++) {
    const dir = join(dataDir, 'base', String(firstOid + at));
    mkdirSync(dir, { mode: 0o700 });
    for (const name of ['PG_VERSION', 'pg_filenode.map'])
      copyFileSync(join(dataDir, 'base', String(template?.oid), name), join(dir, name));
  }
  const left = ['./postgresql.conf', './postmaster.pid', './postmaster.opts'].map(
    (name) => `--exclude=${name}`,
  );
  return execFileSync('tar', ['-I', 'gzip -1', '-cf', '-', ...left, '-C', dataDir, '.'], {
    maxBuffer: 1 << 30,
  });
}

const kind = ['nothing to change', 'one change'] as const;
type Kind = (typeof kind)[number];
type Sample = Record<string, number>;

function specFor(it: Rig, what: Kind): Record<string, unknown> {
  const spec = it.spec();
  const given = spec['cluster'] as Required<Parts>;
  given.roles = rolesOf(roles);
  given.databases = databasesOf(databases);
  given.settings.push({ name: 'autovacuum', value: 'off', vartype: 'bool' });
  if (what === 'nothing to change') return spec;
  given.roles[1] = { name: 'r1', encrypted_password: verifier(), options: null };
  given.roles.push({ name: 'added', encrypted_password: verifier(), options: null });
  given.databases.push({ name: 'added', owner: 'added', options: null });
  return spec;
}

async function start(tarball: Buffer, what: Kind): Promise<Sample> {
  const it = await rig(undefined, tarball);
  try {
    const spec = specFor(it, what);
    const program = it.start({ spec, args: ['--log-format', 'json'] });
    await it.until('running', 300_000);
    const lines = program
      .stderr()
      .split('\n')
      .filter((line) => line.startsWith('{'));
    const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const finished = events.find(({ msg }) => msg === 'compute start finished');
    const applied = events.find(({ statements }) => typeof statements === 'number');
    await new Promise((resolve) => setTimeout(resolve, idleMs));
    const status = readFileSync(`/proc/${program.pid}/status`, 'utf8');
    const megabytes = (name: string): number =>
      Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
    return {
      'start, ms': Number(finished?.['total_ms']),
      'of it apply-catalog, ms': Number((finished?.['steps'] as Sample | undefined)?.['apply-catalog']),
      statements: Number(applied?.['statements']),
      'spec, MB': JSON.stringify(spec).length / 1e6,
      'memory at most, MB': megabytes('VmHWM'),
      'memory after it, MB': megabytes('VmRSS'),
    };
  } finally {
    await it.stop();
  }
}

const home = benchDir(values.dir);
process.env['COMPUTE_CTL_TEST_HOME'] = home;
process.on('exit', () => rmSync(home, { recursive: true, force: true }));
const begin = performance.now();
const tarball = await makeCluster();
console.log(
  `${databases} databases and ${roles} roles, made in ${Math.round(performance.now() - begin)} ms; median of ${rounds}`,
);
for (const what of kind) {
  const samples: Sample[] = [];
  for (let round = 0; round < rounds; round++) samples.push(await start(tarball, what));
  console.log(what);
  for (const name of Object.keys(samples[0] ?? {})) {
    const sorted = samples.map((sample) => sample[name] ?? Number.NaN).toSorted((a, b) => a - b);
    console.log(`  ${name.padEnd(28)}${(sorted[Math.floor(rounds / 2)] ?? 0).toFixed(1).padStart(10)}`);
  }
}
