import type { Log } from '../core/log.ts';
import { Secret } from '../core/secret.ts';
import { setPrimaryNode } from './nodes.ts';
import { refreshWriter, replicasOf, specFor, writerOf } from './roles.ts';
import { type LocalDir, type LocalState, withPassword } from './state.ts';
import type { Copied } from './storage/copying.ts';
import type { GivenLimits } from './storage/disk.ts';
import type { ServeOptions } from './storage/serve.ts';
import type { Tools } from './storage/tools.ts';
import type { TroubleNews } from './storage/troubles.ts';

export interface ServeParts {
  readonly dir: LocalDir;
  readonly state: LocalState;
  readonly tools: Tools;
  readonly log: Log;
  readonly maxWalBytes: number;
  readonly diskLimits: GivenLimits;
  readonly tell?: (news: TroubleNews) => void;
  readonly onCopy?: (copied: Copied) => void;
}

/** The storage's options for this directory and its computes. */
export const serveOptions = ({ dir, state, ...parts }: ServeParts): ServeOptions => ({
  ...parts,
  dir: dir.storage,
  keep: state.keep ?? null,
  tenantId: state.tenantId,
  timelineId: state.timelineId,
  ports: state.ports,
  storageToken: new Secret(state.storageToken),
  controlPlaneToken: new Secret(state.controlPlaneToken),
  computes: {
    writer: () => writerOf(dir, state),
    replicas: () => replicasOf(dir, state),
    spec: (computeId, startToken, writesStopped) =>
      specFor(dir, withPassword(dir, state), computeId, { startToken, writesStopped }),
    refresh: (signal) => refreshWriter(dir, state, signal),
    promoted: ({ name }) => setPrimaryNode(dir, name),
  },
});
