import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { causeChain } from '../../src/core/errors.ts';
import { createLog } from '../../src/core/log.ts';
import type { Lsn } from '../../src/core/lsn.ts';
import {
  type BasebackupContext,
  type BasebackupFigures,
  openPageserver,
} from '../../src/storage/basebackup.ts';
import { scratchDir } from './cluster.ts';
import { type FakeGrpc, type GrpcScript, startFakeGrpc } from './fake-grpc.ts';
import {
  type FakeStorage,
  type PageserverScript,
  type TarballEntry,
  makeTarball,
  minimalEntries,
  startFakePageserver,
} from './fake-storage.ts';

export const never = new AbortController().signal;
export const lsn = 0x169b1d8n as Lsn;
/** Bytes that hardly compress. */
export const noise = Buffer.from(
  Array.from({ length: 300_000 }, (_, at) => (at * at * 31 + (at >> 3)) & 0xff),
);
export const complete: readonly TarballEntry[] = [...minimalEntries, { name: 'base/1/1', body: noise }];

/** A directory and pageservers for one test. */
export class BackupFixture {
  readonly home = scratchDir('basebackup');
  readonly pgdata = join(this.home, 'pgdata');
  /** How often PGDATA was emptied. */
  emptied = 0;
  readonly #fakes: { stop(): void | Promise<void> }[] = [];

  constructor() {
    mkdirSync(this.pgdata);
  }

  async stop(): Promise<void> {
    for (const fake of this.#fakes) await fake.stop();
    rmSync(this.home, { recursive: true });
  }

  async pageserver(script: Partial<PageserverScript> = {}): Promise<FakeStorage<PageserverScript>> {
    const fake = await startFakePageserver({ tarball: await makeTarball(complete), ...script });
    this.#fakes.push(fake);
    return fake;
  }

  async grpc(script: Partial<GrpcScript> = {}): Promise<FakeGrpc> {
    const fake = await startFakeGrpc({ tarball: await makeTarball(complete), ...script });
    this.#fakes.push(fake);
    return fake;
  }

  /** No retries and short limits, unless said otherwise. */
  context(urls: readonly string[], more: Partial<BasebackupContext> = {}): BasebackupContext {
    const servers = urls.map((url) =>
      url.startsWith('grpc')
        ? { id: null, libpqUrl: null, grpcUrl: url }
        : { id: null, libpqUrl: url, grpcUrl: null },
    );
    return {
      pageserver: {
        shardCount: 0,
        stripeSize: null,
        shards: new Map([[0, servers]]),
        preferProtocol: 'libpq',
      },
      token: null,
      mode: 'primary',
      tenantId: 't',
      timelineId: 'l',
      pgdata: this.pgdata,
      keep: new Set(['postgresql.conf']),
      needsWal: true,
      log: createLog({ format: 'json', level: 'silent' }),
      emptied: async () => {
        this.emptied++;
        rmSync(this.pgdata, { recursive: true });
        mkdirSync(this.pgdata);
      },
      ...more,
      limits: { retries: 0, idleMs: 500, connectMs: 500, ...more.limits },
    };
  }
}

export const fetchBackup = (context: BasebackupContext, at: Lsn = lsn): Promise<BasebackupFigures> =>
  openPageserver(context, never).fetch(at, never);

/** All messages of the failure in one line. */
export async function failureOf(context: BasebackupContext): Promise<string> {
  try {
    await fetchBackup(context);
  } catch (error) {
    return causeChain(error).join(': ');
  }
  throw new Error('it succeeded');
}
