import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { test } from 'vitest';
import type { PgTarget } from '../../src/pg/target.ts';
import { type LocalRig, localRig, queryLocal } from '../support/local.ts';
import { osUser } from '../support/postgres-versions.ts';
import { type Program, eventually, startProgram } from '../support/program.ts';

/** More runs, each from another seed: COMPUTE_LOCAL_PROPERTY_RUNS=50 npm run test:data-safety */
const runs = Number(process.env['COMPUTE_LOCAL_PROPERTY_RUNS'] ?? 0);
const inCi = { numRuns: 5, seed: 14 };

const patientMs = 120_000;

const places = [
  '.',
  'log',
  'run',
  'nodes',
  'nodes/replica',
  'pgdata',
  'storage',
  'storage/TENANT',
  'storage/TENANT/TIMELINE',
  'storage/TENANT/TIMELINE/wal',
  'storage/TENANT/TIMELINE/bases',
] as const;

const action = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('up' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('write' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('foreign' as const),
      place: fc.constantFrom(...places),
      folder: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('kill' as const),
      what: fc.constantFrom('postgres', 'compute_ctl', 'storage', 'up'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('stop' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('promote' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('killed up' as const, 'killed reset' as const),
      afterMs: fc.integer({ min: 50, max: 4000 }),
    }),
  },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** What must be true of the directory, beside it. */
class Model {
  readonly rig: LocalRig = localRig();
  /** Rows whose commit was acknowledged. */
  #acknowledged = new Set<number>();
  /** Paths with content, of what somebody else put there. */
  readonly #foreign = new Map<string, string>();
  #main: Program | null = null;
  #to: PgTarget | null = null;
  #promoted = false;
  /** A compute may be starting again: its data directory is wiped at any moment. */
  #restarting = false;
  /** A reset was killed: the data is complete or gone. */
  #maybeReset = false;
  #count = 0;

  async run(one: Action): Promise<void> {
    if (one.do === 'up') await this.up();
    else if (one.do === 'write') await this.write();
    else if (one.do === 'foreign') this.#plant(one.place, one.folder);
    else if (one.do === 'kill') await this.#kill(one.what);
    else if (one.do === 'stop') await this.stop();
    else if (one.do === 'promote') await this.#promote();
    else if (one.do === 'reset') await this.reset();
    else await this.#killed(one.do === 'killed up' ? ['up'] : ['reset', '--yes'], one.afterMs);
    this.#checkForeign();
  }

  async up(): Promise<void> {
    if (this.#main !== null) return;
    this.#clearPgdata();
    const { program, to } = await this.rig.upAndReady(['--compact-at=4MB', '--new-ports']);
    [this.#main, this.#to, this.#promoted, this.#restarting] = [program, to, false, false];
    await this.#checkRows();
  }

  /** A reset leaves what somebody else has put into the data directory, and a start refuses that; so they move it. */
  #clearPgdata(): void {
    const { pgdata, dir } = this.rig;
    const willBeReset = existsSync(join(dir, 'local.json.reset'));
    if (existsSync(join(pgdata, 'compute_ctl.marker')) && !willBeReset) return;
    for (const [path, content] of [...this.#foreign].filter(([each]) => each.startsWith('pgdata/'))) {
      if (!existsSync(join(dir, path))) continue;
      const moved = `moved-${path.replaceAll('/', '-')}`;
      renameSync(join(dir, path), join(dir, moved));
      this.#foreign.delete(path);
      this.#foreign.set(moved, content);
    }
  }

  async #checkRows(): Promise<void> {
    const to = this.#to as PgTarget;
    const rows = await eventually(
      'the rows',
      async () => {
        await queryLocal(to, 'create table if not exists t (n int)');
        return (await queryLocal(to, 'select n from t')).map(({ n }) => Number(n));
      },
      patientMs,
    );
    const found = new Set(rows);
    if (this.#maybeReset && found.size === 0) this.#acknowledged.clear();
    this.#maybeReset = false;
    assert.deepEqual(
      [...this.#acknowledged].filter((n) => !found.has(n)),
      [],
      'lost rows',
    );
    this.#acknowledged = found;
  }

  async write(): Promise<void> {
    const to = this.#to;
    if (to === null) return;
    // With enough WAL for a new base backup after a few.
    const filler = `select pg_logical_emit_message(false, 'filler', repeat('a', 1500000))`;
    await eventually(
      'a commit',
      async () => {
        const n = ++this.#count;
        await queryLocal(to, `${filler}; insert into t values (${n})`);
        this.#acknowledged.add(n);
        return true;
      },
      patientMs,
    );
  }

  #plant(place: string, folder: boolean): void {
    const { dir } = this.rig;
    // In an empty directory it would make that somebody else's.
    if (!existsSync(join(dir, 'compute-local.marker'))) return;
    const ids = (existsSync(join(dir, 'local.json')) ? this.rig.state() : {}) as Record<string, string>;
    let below = (place === 'pgdata' && this.#restarting ? '.' : place)
      .replace('TENANT', ids['tenantId'] ?? 'none')
      .replace('TIMELINE', ids['timelineId'] ?? 'none');
    while (!existsSync(join(dir, below))) below = dirname(below);
    const name = `foreign-${++this.#count}`;
    const path = join(below, folder ? `${name}/notes` : name);
    if (folder) mkdirSync(join(dir, below, name));
    writeFileSync(join(dir, path), name);
    for (const each of folder ? [dirname(path), path] : [path])
      if (osUser !== null) chownSync(join(dir, each), osUser.uid, osUser.gid);
    this.#foreign.set(path, name);
  }

  #checkForeign(): void {
    for (const [path, content] of this.#foreign) {
      const file = join(this.rig.dir, path);
      // What lies in the data directory is moved aside by a start.
      const now = existsSync(file) ? file : join(this.rig.dir, path.replace(/^pgdata/, 'from-pgdata'));
      assert.equal(existsSync(now) ? readFileSync(now, 'utf8') : 'missing', content, path);
    }
  }

  async #kill(what: 'postgres' | 'compute_ctl' | 'storage' | 'up'): Promise<void> {
    const main = this.#main;
    if (main === null) return;
    this.#restarting = what !== 'up';
    const pid = what === 'up' ? main.pid : this.rig.pidOf(what);
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    if (what !== 'up') return;
    await main.exited();
    [this.#main, this.#to, this.#restarting] = [null, null, false];
  }

  async stop(): Promise<void> {
    const { code, stderr } = await this.#command('stop');
    assert.equal(code, 0, stderr);
    await this.#main?.exited();
    [this.#main, this.#to, this.#restarting] = [null, null, false];
  }

  async #promote(): Promise<void> {
    if (this.#to === null || this.#promoted) return;
    // Everything runs, also after a kill.
    await this.write();
    // Beside a compute that starts again a replica may need a second attempt; that is not what is tested here.
    const { to } = await eventually('a replica', () => this.rig.upAndReady(['--replica']), patientMs);
    this.#restarting = true;
    // It says itself that it is to be run again, when the main compute is starting meanwhile.
    await eventually(
      'the promotion',
      async () => {
        const { code, stderr } = await this.#command('promote');
        if (code !== 0) throw new Error(stderr);
        return true;
      },
      patientMs,
    );
    [this.#to, this.#promoted] = [to, true];
    await this.#checkRows();
  }

  async reset(): Promise<void> {
    const { code, stderr } = await this.#command('reset', '--yes');
    assert.equal(code, this.#main === null ? 0 : 1, stderr);
    if (this.#main !== null) return;
    this.#acknowledged.clear();
    this.#maybeReset = false;
  }

  async #killed(args: readonly string[], afterMs: number): Promise<void> {
    if (this.#main !== null) return;
    if (args[0] === 'up') this.#clearPgdata();
    const program = startProgram('compute-local', [...args, '--dir', this.rig.dir]);
    await Promise.race([sleep(afterMs), program.exited(60_000)]);
    program.kill('SIGKILL');
    await program.exited();
    if (args[0] === 'reset') this.#maybeReset = true;
  }

  async #command(...args: string[]): Promise<{ code: number | NodeJS.Signals; stderr: string }> {
    const program = startProgram('compute-local', [...args, '--dir', this.rig.dir]);
    try {
      return { code: await program.exited(160_000), stderr: program.output() };
    } finally {
      program.kill('SIGKILL');
    }
  }
}

const limitMs = 300_000 * Math.max(inCi.numRuns, runs);

test(
  'whatever is started, stopped, promoted, reset and killed: no acknowledged row and no foreign file is lost',
  async () => {
    const property = fc.asyncProperty(fc.array(action, { minLength: 6, maxLength: 10 }), async (actions) => {
      const model = new Model();
      try {
        await model.up();
        await model.write();
        for (const one of actions) await model.run(one);
        await model.run({ do: 'up' });
        await model.run({ do: 'stop' });
        await model.run({ do: 'reset' });
      } finally {
        await model.rig.clean();
      }
    });
    await fc.assert(property, { ...(runs > 0 ? { numRuns: runs } : inCi), endOnFailure: true });
  },
  limitMs,
);
