import { formatLsn } from '../../core/lsn.ts';
import { WireError, type WireServer, serveWire, startupOptions } from '../../wire/server.ts';
import type { Access } from './access.ts';
import type { Copying } from './copying.ts';
import { shown, wireLimits } from './limits.ts';
import type { Timeline } from './timeline.ts';
import { answerReplication } from './wal-sender.ts';

export interface ServedTimeline {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly timeline: Timeline;
  /** Judges the clients' password. */
  readonly access: Access;
  readonly copying: Copying;
}

const columns = ['flush_lsn', 'commit_lsn'] as const;
const hexId = /^[0-9a-f]{32}$/i;

/** Sends WAL to standbys, and answers TIMELINE_STATUS as a Neon safekeeper does. There is only one safekeeper, so all
 *  WAL that it has is committed. */
export const safekeeper = (served: ServedTimeline): WireServer =>
  serveWire({
    limits: wireLimits,
    password: async (token) =>
      served.access.mayRead(token) ? null : new WireError('XX000', 'JWT authentication error'),
    columns: () => columns,
    async onQuery(session, text) {
      const options = startupOptions(session.parameters.get('options') ?? '');
      const tenant = options.get('tenant_id') ?? options.get('ztenantid') ?? '';
      const timeline = options.get('timeline_id') ?? options.get('ztimelineid') ?? '';
      if (!hexId.test(tenant)) throw new WireError('XX000', 'tenantid is required');
      if (!hexId.test(timeline)) throw new WireError('XX000', 'timelineid is required');
      const known = tenant.toLowerCase() === served.tenantId && timeline.toLowerCase() === served.timelineId;
      if (!text.startsWith('TIMELINE_STATUS')) {
        if (!known) throw new WireError('XX000', 'not found');
        if (await answerReplication(session, served.timeline, text)) return;
        throw new WireError('XX000', `unsupported command ${shown(text)}`);
      }
      const end = known ? formatLsn(served.timeline.end()) : null;
      await session.rows(columns, end === null ? [] : [[end, end]], 'TIMELINE_STATUS');
    },
  });
