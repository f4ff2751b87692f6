import { formatLsn } from '../../core/lsn.ts';
import type { Secret } from '../../core/secret.ts';
import { WireError, type WireServer, serveWire, startupOptions } from '../../wire/server.ts';
import type { Timeline } from './timeline.ts';
import { isToken } from './token.ts';

export interface ServedTimeline {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly timeline: Timeline;
  /** What clients must send as their password. */
  readonly token: Secret;
}

const columns = ['flush_lsn', 'commit_lsn'] as const;
const hexId = /^[0-9a-f]{32}$/i;

/** Answers TIMELINE_STATUS as a Neon safekeeper does. There is one storage, so what it has is committed. */
export const safekeeper = (served: ServedTimeline): WireServer =>
  serveWire({
    password: async (token) =>
      isToken(token, served.token) ? null : new WireError('XX000', 'JWT authentication error'),
    columns: () => columns,
    async onQuery(session, text) {
      if (!text.startsWith('TIMELINE_STATUS')) throw new WireError('XX000', `unsupported command ${text}`);
      const options = startupOptions(session.parameters.get('options') ?? '');
      const tenant = options.get('tenant_id') ?? options.get('ztenantid') ?? '';
      const timeline = options.get('timeline_id') ?? options.get('ztimelineid') ?? '';
      if (!hexId.test(tenant)) throw new WireError('XX000', 'tenantid is required');
      if (!hexId.test(timeline)) throw new WireError('XX000', 'timelineid is required');
      const known = tenant.toLowerCase() === served.tenantId && timeline.toLowerCase() === served.timelineId;
      const end = known ? formatLsn(served.timeline.end()) : null;
      await session.rows(columns, end === null ? [] : [[end, end]], 'TIMELINE_STATUS');
    },
  });
