import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { pino } from 'pino';
import { afterEach, beforeEach, onTestFinished } from 'vitest';
import { never } from '../../src/core/abort.ts';
import { Failpoints } from '../../src/core/failpoints.ts';
import type { OwnPostgres } from '../../src/database/settings.ts';
import { Metrics } from '../../src/metrics/registry.ts';
import { ExtensionStore } from '../../src/services/extensions/store.ts';
import { type TarballEntry, makeTarball } from './fake-storage.ts';
import { type Fault, type FileServer, startFileServer } from './file-server.ts';

/** Of the installation of the current test. */
let prefix: string;

export const inInstallation = (name: string): string => join(prefix, name);

/** Gives each test of a file an installation of PostgreSQL of its own, without the programs. */
export function useInstallation(): void {
  beforeEach(() => {
    prefix = mkdtempSync(join(tmpdir(), 'extensions-'));
    for (const dir of ['bin', 'share/postgresql/extension', 'lib/postgresql'])
      mkdirSync(join(prefix, dir), { recursive: true });
    writeFileSync(join(prefix, 'share/postgresql/extension/plpgsql.control'), '');
    writeFileSync(join(prefix, 'lib/postgresql/plpgsql.so'), '');
  });
  afterEach(() => rmSync(prefix, { recursive: true, force: true }));
}

export const files: readonly TarballEntry[] = [
  { name: 'share/extension/demo--1.0.sql', body: 'select 1' },
  { name: 'share/extension/demo/data.csv', body: '1,2' },
  { name: 'lib/demo.so', body: 'machine code', mode: 0o4777 },
  { name: 'README', body: 'not for PostgreSQL' },
];

export const archive = async (entries: readonly TarballEntry[] = files): Promise<Buffer> =>
  zstdCompressSync(await makeTarball(entries, { gzip: false }));

export interface Gateway {
  readonly server: FileServer;
  readonly store: ExtensionStore;
  readonly metrics: Metrics;
}

export function storeAt(
  gateway: string,
  metrics = new Metrics(),
  ending = never,
  failpoints = new Failpoints(),
): ExtensionStore {
  const dir = join(prefix, 'bin');
  const bin = {
    path: join(dir, 'postgres'),
    dir,
    major: 17,
    version: '17.0',
    sibling: (name: string) => join(dir, name),
  };
  const postgres = { bin, env: {}, pgdata: '/nowhere' } as unknown as OwnPostgres;
  return new ExtensionStore({
    postgres,
    gateway,
    env: {},
    log: pino({ level: 'silent' }),
    metrics,
    failpoints,
    ending,
  });
}

export async function gateway(content: Buffer, faults: readonly Fault[] = []): Promise<Gateway> {
  const server = await startFileServer(content, faults);
  onTestFinished(() => server.stop());
  const metrics = new Metrics();
  return { server, metrics, store: storeAt(`${new URL(server.url).origin}/base/`, metrics) };
}

export const share = (name = ''): string => join(prefix, 'share/postgresql/extension', name);
export const lib = (name = ''): string => join(prefix, 'lib/postgresql', name);

/** Every file that is neither PL/pgSQL nor the note of what was installed. */
export function found(): string[] {
  const all = readdirSync(prefix, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(prefix.length + 1));
  return all.filter((name) => !name.includes('plpgsql') && !name.endsWith('.files.json')).toSorted();
}
