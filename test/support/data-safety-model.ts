import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { dirname, join } from 'node:path';
import type { PgTarget } from '../../src/pg/target.ts';
import { killAllPrograms, killOf } from './data-safety-kills.ts';
import type { Action, Command, Victim } from './data-safety-actions.ts';
import { Foreign, type ForeignKind } from './foreign.ts';
import { type LocalRig, localRig, queryLocal } from './local.ts';
import { osUser } from './postgres-versions.ts';
import { type Program, eventually, startProgram } from './program.ts';
import { Writers } from './writers.ts';

const patientMs = 180_000;
const mainArgs = ['--compact-at=4MB', '--new-ports'];

/** What must be true of a directory of compute-local, beside it. */
export class DataSafetyModel {
  readonly #rig: LocalRig = localRig();
  readonly #foreign = new Foreign(this.#rig.dir);
  readonly #done: string[] = [];
  readonly #writers = new Writers();
  #main: Program | null = null;
  #node: Program | null = null;
  /** The primary; null: nobody knows, or none. */
  #to: PgTarget | null = null;
  #promoted = false;
  /** A promotion was killed. */
  #halfway = false;
  /** A compute may be starting again: its data directory is wiped at any moment. */
  #restarting = false;
  /** A reset was killed: the data is complete or gone. */
  #maybeReset = false;
  #count = 0;
  #looks = 0;

  async run(one: Action): Promise<void> {
    this.#done.push(JSON.stringify(one));
    if (one.do === 'up') await this.#up();
    else if (one.do === 'write') await this.#write();
    else if (one.do === 'foreign') this.#plant(one.place, one.name, one.kind);
    else if (one.do === 'kill') await this.#while(one.writing, () => this.#kill(one.what));
    else if (one.do === 'stop') await this.#while('writing' in one && one.writing, () => this.#stop());
    else if (one.do === 'promote') await this.#promote(one.writing);
    else if (one.do === 'reset') await this.#reset();
    else if (one.do === 'killed') await this.#killed(one.command, one.afterMs, one.all);
    await this.#look();
    assert.deepEqual(this.#changed(), []);
  }

  summary(): string {
    return `${this.#done.join(' ')}: ${this.#writers.total} commits, looked at ${this.#looks} times, ${this.#foreign.paths().length} things of somebody else`;
  }

  async clean(): Promise<void> {
    await this.#writers.stop();
    this.#foreign.makeRemovable();
    await this.#rig.clean();
    this.#foreign.clean();
  }

  async #up(): Promise<void> {
    if (this.#main !== null && this.#to !== null) return;
    // A command was killed: what runs is not known.
    if (this.#main !== null) await this.#stop();
    await this.#ended();
    this.#clearPgdata();
    const { program, to } = await this.#rig.upAndReady(mainArgs);
    [this.#main, this.#to] = [program, to];
    await this.#checkRows();
  }

  /** A reset leaves what somebody else has put into the data directory, and a start refuses that; so they move it. */
  #clearPgdata(): void {
    const { pgdata, dir } = this.#rig;
    const willBeReset = existsSync(join(dir, 'local.json.reset'));
    if (existsSync(join(pgdata, 'compute_ctl.marker')) && !willBeReset) return;
    const inside = this.#foreign.paths().filter((each) => each.startsWith('pgdata/'));
    const names = existsSync(pgdata) ? readdirSync(pgdata) : [];
    for (const path of inside.filter((each) => names.includes(each.slice('pgdata/'.length))))
      this.#foreign.move(path, `moved-${path.replaceAll('/', '-')}`, renameSync);
  }

  async #checkRows(): Promise<void> {
    const to = this.#to as PgTarget;
    const found = await eventually('the rows', () => rowsOf(to), patientMs);
    if (this.#maybeReset && found.size === 0) this.#writers.acknowledged.clear();
    this.#maybeReset = false;
    this.#compare(found);
    // What a start has found is in the storage.
    this.#writers.acknowledged = found;
  }

  #compare(found: ReadonlySet<number>): void {
    const lost = [...this.#writers.acknowledged].filter((n) => !found.has(n));
    assert.deepEqual(lost, [], 'lost rows');
    this.#looks++;
  }

  /** After each step, if there is a primary that answers; and one more row. */
  async #look(): Promise<void> {
    const to = this.#to;
    if (to === null || this.#maybeReset) return;
    const found = await rowsOf(to).catch(() => null);
    if (found === null) return;
    this.#compare(found);
    await this.#writers.commit(to).catch(() => {});
  }

  async #write(): Promise<void> {
    const to = this.#to;
    if (to === null) return;
    // With enough WAL for a new base backup after a few.
    const filler = `select pg_catalog.pg_logical_emit_message(false, 'filler', repeat('a', 1500000))`;
    await eventually('a commit', () => this.#writers.commit(to, filler), patientMs);
  }

  async #while(writing: boolean, work: () => Promise<void>): Promise<void> {
    if (!writing || this.#to === null) return work();
    this.#writers.start(this.#to);
    // Some commits are on their way.
    await sleep(30);
    await work();
    await this.#writers.stop();
  }

  #plant(place: string, pattern: string, kind: ForeignKind): void {
    const { dir } = this.#rig;
    // In an empty directory it would make that somebody else's.
    if (!existsSync(join(dir, 'compute-local.marker'))) return;
    if (osUser === null && (kind === 'of-root' || kind === 'mount')) return;
    const ids = (existsSync(join(dir, 'local.json')) ? this.#rig.state() : {}) as Record<string, string>;
    const inData = place === 'pgdata';
    // A volume, and a folder of another user, cannot be moved out of the data directory: see the test of its own.
    const stuck = ['mount', 'of-root', 'read-only-folder'].includes(kind);
    let below = (inData && (this.#restarting || this.#to === null || stuck) ? '.' : place)
      .replace('TENANT', ids['tenantId'] ?? 'none')
      .replace('TIMELINE', ids['timelineId'] ?? 'none');
    while (!existsSync(join(dir, below))) below = dirname(below);
    this.#foreign.plant(join(below, pattern.replace('N', String(++this.#count))), kind);
  }

  /** What lies in the data directory is moved aside by a start. */
  #changed(): string[] {
    return this.#foreign.changes((path) => path.replace(/^((nodes\/[^/]+\/)?)pgdata\//, '$1from-pgdata/'));
  }

  async #kill(what: Victim): Promise<void> {
    if (this.#main === null) return;
    if (what === 'all') return this.#killAll();
    if (what === 'up') {
      this.#main.kill('SIGKILL');
      return this.#ended();
    }
    this.#restarting = true;
    killOf(this.#rig, what);
  }

  async #killAll(): Promise<void> {
    killAllPrograms(this.#rig.dir);
    await this.#node?.exited(patientMs);
    await this.#ended();
  }

  async #ended(): Promise<void> {
    await this.#main?.exited(patientMs);
    [this.#main, this.#to, this.#node] = [null, null, null];
    [this.#restarting, this.#promoted, this.#halfway] = [false, false, false];
  }

  async #stop(): Promise<void> {
    const { code, output } = await this.#command('stop');
    assert.equal(code, 0, output);
    await this.#ended();
  }

  async #promote(writing: boolean): Promise<void> {
    if (this.#promoted || (this.#to === null && !this.#halfway)) return;
    if (this.#node === null) await this.#replica();
    this.#restarting = true;
    await this.#while(writing, () => this.#promotion());
    [this.#promoted, this.#halfway] = [true, false];
    await this.#checkRows();
  }

  async #replica(): Promise<void> {
    const { program } = await this.#rig.upAndReady(['--replica']);
    this.#node = program;
  }

  /** It says itself that it is to be run again, when the main compute is starting meanwhile. */
  async #promotion(): Promise<void> {
    const promoted = async (): Promise<true> => {
      const { code, output } = await this.#command('promote');
      if (code !== 0) throw new Error(output);
      return true;
    };
    await eventually('the promotion', promoted, patientMs);
    const { ports } = JSON.parse(readFileSync(join(this.#rig.dir, 'nodes/replica/node.json'), 'utf8')) as {
      ports: { postgres: number };
    };
    this.#to = this.#rig.target(ports.postgres);
  }

  async #reset(): Promise<void> {
    const { code, output } = await this.#command('reset', '--yes');
    // Only a stop that was killed may have ended what ran.
    if (this.#main === null) assert.equal(code, 0, output);
    else if (this.#to !== null) assert.equal(code, 1, output);
    if (code !== 0) return;
    await this.#ended();
    this.#writers.acknowledged.clear();
    this.#maybeReset = false;
  }

  async #killed(command: Command, afterMs: number, all: boolean): Promise<void> {
    const starts = command === 'up' || command === 'reset';
    if (starts ? this.#main !== null : this.#to === null) return;
    if (command === 'replica' && this.#node !== null) return;
    if (command === 'promote' && this.#promoted) return;
    if (command === 'promote' && this.#node === null) await this.#replica();
    if (command === 'up') this.#clearPgdata();
    const args = {
      up: ['up', ...mainArgs],
      reset: ['reset', '--yes'],
      stop: ['stop'],
      promote: ['promote'],
      replica: ['up', '--replica'],
    }[command];
    const program = startProgram('compute-local', [...args, '--dir', this.#rig.dir]);
    await Promise.race([sleep(afterMs), program.exited(patientMs)]);
    program.kill('SIGKILL');
    await program.exited(patientMs);
    if (command === 'reset') this.#maybeReset = true;
    if (command === 'stop' || command === 'promote') [this.#to, this.#restarting] = [null, true];
    this.#halfway = command === 'promote';
    if (all) await this.#killAll();
  }

  async #command(...args: string[]): Promise<{ code: number | NodeJS.Signals; output: string }> {
    const program = startProgram('compute-local', [...args, '--dir', this.#rig.dir]);
    try {
      return { code: await program.exited(patientMs), output: program.output() };
    } finally {
      program.kill('SIGKILL');
    }
  }
}

const rowsOf = async (to: PgTarget): Promise<Set<number>> => {
  await queryLocal(to, 'create table if not exists t (n int)');
  return new Set((await queryLocal(to, 'select n from t')).map(({ n }) => Number(n)));
};
