import { readFile } from 'node:fs/promises';
import { ComputeError } from '../core/errors.ts';
import { formatLsn } from '../core/lsn.ts';
import type { ResolvedMode, ResolvedSpec } from '../spec/resolve.ts';
import type { ComputeSpec } from '../spec/schema.ts';
import { auditSection } from './conf-audit.ts';
import { quoteConf } from './conf-syntax.ts';
import { settingsSection } from './conf-settings.ts';
import { storageSection } from './conf-storage.ts';
import { overrideFile } from './files.ts';
import { type Lakebase, lakebaseLines } from './lakebase.ts';
import { serverSetting } from './server-setting.ts';
import { tlsSection } from './tls-lines.ts';

/** Inputs to `postgresql.conf` besides the spec. */
export interface ConfContext {
  /** The port where the neon extension requests files of remote extensions. */
  readonly internalHttpPort: number;
  readonly privilegedRole: string;
  /** True when the config has a TLS key and certificate; used if the spec has the feature, too. */
  readonly tls: boolean;
  /** False: they are not usable yet, so Postgres starts without TLS, and a reload switches it on. Default true. */
  readonly hasTlsPair?: boolean;
  /** True when the kernel refuses to overcommit memory: `readStrictOvercommit`. */
  readonly strictOvercommit: boolean;
  /** True once subscriptions were dropped for this timeline: a later conf file must not disable subscribers again. */
  readonly subscriptionsDropped: boolean;
  /** Lines from the services that run beside Postgres. */
  readonly serviceLines: readonly string[];
  /** Null outside lakebase mode. */
  readonly lakebase?: Lakebase | null;
  /** Default: of this machine. */
  readonly platform?: NodeJS.Platform;
}

export interface RenderedConf {
  readonly text: string;
  /** Which settings were left out and why, for the log. */
  readonly notes: readonly string[];
}

/** The whole `postgresql.conf`. In Postgres later lines take precedence, so the order of the sections matters.
 *  @throws ComputeError `spec_invalid` when a value of the spec cannot be written */
export function renderConf(resolved: ResolvedSpec, context: ConfContext): RenderedConf {
  const { spec } = resolved;
  refuseOtherDataDirectory(spec);
  const { postgresql_conf: head, settings } = spec.cluster;
  const notes: string[] = [];
  const lines = [
    ...(head === null ? [] : [head.reveal()]),
    ...storageSection(resolved),
    ...(usesTls(spec, context.tls) ? tlsSection(context.hasTlsPair ?? true) : []),
    ...localeLines(context.platform ?? process.platform),
    ...modeLines(resolved.mode),
    ...(context.strictOvercommit ? ['dynamic_shared_memory_type = mmap'] : []),
    `neon.privileged_role_name=${quoteConf(context.privilegedRole, '--privileged-role-name')}`,
    ...(settings === null ? [] : settingsSection(settings, (note) => notes.push(note))),
    ...auditSection(spec),
    ...tailLines(spec, context),
  ];
  return { text: `${lines.join('\n')}\n`, notes };
}

/** With it, Postgres would run on another cluster, and the catalog pass would change that one. */
function refuseOtherDataDirectory(spec: ComputeSpec): void {
  if (serverSetting(spec, 'data_directory') === null) return;
  throw new ComputeError('spec_invalid', 'spec.cluster: the setting data_directory cannot be given', {
    hint: 'remove it: the data directory is that of --pgdata',
  });
}

/** TLS needs a key and certificate in the config, and the feature in the spec. */
export const usesTls = (spec: ComputeSpec, configured: boolean): boolean =>
  configured && spec.features.includes('tls_experimental');

/** With strict overcommit, shared memory must be backed by files. False where the kernel has no such setting. */
export async function readStrictOvercommit(): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const text = await readFile('/proc/sys/vm/overcommit_memory', 'utf8').catch(() => '');
  return text.trim() === '2';
}

function localeLines(platform: NodeJS.Platform): string[] {
  const locale = platform === 'darwin' ? 'C' : 'C.UTF-8';
  return ['messages', 'monetary', 'time', 'numeric'].map((category) => `lc_${category}='${locale}'`);
}

function modeLines(mode: ResolvedMode): string[] {
  const lines = [`neon.compute_mode=${mode.kind}`];
  if (mode.kind !== 'primary') lines.push('hot_standby=on');
  if (mode.kind === 'static') lines.push(`recovery_target_lsn='${formatLsn(mode.lsn)}'`);
  return lines;
}

function tailLines(spec: ComputeSpec, context: ConfContext): string[] {
  const disabled = spec.drop_subscriptions_before_start && !context.subscriptionsDropped;
  return [
    `neon.extension_server_port=${context.internalHttpPort}`,
    `neon.disable_logical_replication_subscribers=${disabled}`,
    ...context.serviceLines,
    ...(context.lakebase ? lakebaseLines(spec, context.lakebase) : []),
    `include_if_exists = '${overrideFile}'`,
  ];
}
