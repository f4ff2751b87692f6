import { readFileSync } from 'node:fs';
import { type Server, createServer } from 'node:net';
import { type Judgement, type StartRule, joined, problem } from './conf-rules.ts';
import { splitList } from './preload-libraries.ts';

/** PostgreSQL's blocks, in which `shared_buffers` is counted. */
const blockBytes = 8192;

/** What a start needs of the machine that Postgres runs on. */
export const machineRules: readonly StartRule[] = [
  {
    names: ['shared_buffers', 'huge_pages'],
    judge(values) {
      const bytes = Number(values['shared_buffers']) * blockBytes;
      const memory = meminfo();
      return joined([ofMemory(bytes, memory), ofHugePages(bytes, values['huge_pages'] ?? '', memory)]);
    },
  },
  {
    names: ['listen_addresses'],
    async judge(values) {
      const hosts = splitList(values['listen_addresses'] ?? '').map((item) => item.replaceAll('"', ''));
      const refusals = await Promise.all(hosts.map(async (host) => ({ host, code: await refusalAt(host) })));
      // One that works is enough for PostgreSQL.
      if (hosts.length === 0 || refusals.some(({ code }) => code === null)) return none;
      const which = refusals.map(({ host, code }) => `${host} (${code})`).join(', ');
      return problem(
        `listen_addresses: this machine does not have the address ${which}`,
        'name at least one address of this machine, or use *',
      );
    },
  },
];

const none: Judgement = { problems: [], unchecked: [] };

type Memory = ReadonlyMap<string, number>;

/** Values of `/proc/meminfo`: kilobytes, or numbers of pages. Empty where there is no such file. */
function meminfo(): Memory {
  return new Map(
    readOr('/proc/meminfo', '')
      .split('\n')
      .map((line): [string, number] => {
        const [name = '', value = ''] = line.split(':');
        return [name, Number.parseInt(value, 10)];
      }),
  );
}

function readOr(path: string, fallback: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return fallback;
  }
}

/** Unless the kernel is told to always agree, it refuses a mapping that is larger than memory and swap. */
function ofMemory(bytes: number, memory: Memory): Judgement {
  const total = ((memory.get('MemTotal') ?? Infinity) + (memory.get('SwapTotal') ?? 0)) * 1024;
  if (bytes < total || readOr('/proc/sys/vm/overcommit_memory', '0').trim() === '1') return none;
  return problem(
    `shared_buffers: ${mebibytes(bytes)} are more than the memory and swap of this machine (${mebibytes(total)})`,
    'lower it, or give the machine more memory',
  );
}

function ofHugePages(bytes: number, setting: string, memory: Memory): Judgement {
  const free = (memory.get('HugePages_Free') ?? Infinity) * (memory.get('Hugepagesize') ?? Infinity) * 1024;
  // Not a number: there are none, of a size that is not known.
  if (setting !== 'on' || free >= bytes) return none;
  return problem(
    `huge_pages: it is on, and the kernel has only ${mebibytes(free)} of free huge pages for ${mebibytes(bytes)}`,
    'set it to try, or reserve huge pages: vm.nr_hugepages',
  );
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20) || 0} MB`;

/** Null when this machine can listen there. */
async function refusalAt(host: string): Promise<string | null> {
  const server = createServer();
  try {
    await listening(server, host === '*' ? undefined : host);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  } finally {
    server.close();
  }
}

function listening(server: Server, host: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: 0, ...(host === undefined ? {} : { host }) }, resolve);
  });
}
