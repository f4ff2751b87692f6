import type { Log } from '../core/log.ts';
import { Secret } from '../core/secret.ts';
import { setPrimaryNode } from './nodes.ts';
import { replicasOf, specFor, writerOf } from './roles.ts';
import type { LocalDir, LocalState } from './state.ts';
import type { ServeOptions } from './storage/serve.ts';
import type { Tools } from './storage/tools.ts';

export interface ServeParts {
  readonly dir: LocalDir;
  readonly state: LocalState;
  readonly tools: Tools;
  readonly log: Log;
  readonly maxWalBytes: number;
}

/** The storage's options for this directory and its computes. */
export const serveOptions = ({ dir, state, tools, log, maxWalBytes }: ServeParts): ServeOptions => ({
  dir: dir.storage,
  tenantId: state.tenantId,
  timelineId: state.timelineId,
  ports: state.ports,
  storageToken: new Secret(state.storageToken),
  controlPlaneToken: new Secret(state.controlPlaneToken),
  computes: {
    writer: () => writerOf(dir, state),
    replicas: () => replicasOf(dir, state),
    spec: (computeId, startToken) => specFor(dir, state, computeId, startToken),
    promoted: ({ name }) => setPrimaryNode(dir, name),
  },
  tools,
  log,
  maxWalBytes,
});
