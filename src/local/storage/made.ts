import { type Made, madeFile } from '../../process/made.ts';

/** Names of tenants and timelines. */
export const isId = (name: string): boolean => /^[0-9a-f]{32}$/.test(name);

export const madeBase: readonly Made[] = ['base.deflate', 'base.json'].map(madeFile);
const history = String.raw`[0-9A-F]{8}\.history`;
const segment = '[0-9A-F]{24}';

/** What pg_receivewal makes, of each PG timeline. */
export const madeWal: readonly Made[] = [
  { name: new RegExp(`^(${segment}|${history})(\\.partial|\\.tmp)?$`), is: 'file' },
];

/** Finished base backups. */
export const finishedBase: Made = { name: /^\d+$/, is: madeBase };
/** Base backups that are being taken. */
export const unfinishedBase: Made = { name: /^(takeover-)?\d+\.new$/, is: madeBase };

/** Everything of one Neon timeline. Without the link there is no base backup, so it goes first. */
export const madeTimeline: readonly Made[] = [
  { name: /^current(\.new)?$/, is: 'link' },
  ...['leases.json', 'fence.json', 'receiver.pid'].map(madeFile),
  { name: /^wal(-\d+)?$/, is: madeWal },
  { name: /^bases$/, is: [finishedBase, unfinishedBase] },
];

/** A timeline that is being created has a whole cluster in it. */
export const madeUnfinished: readonly Made[] = [...madeTimeline, { name: /^scratch$/, is: 'tree' }];

/** In the directory of a tenant. */
export const madeUnfinishedTimeline: Made = { name: /^[0-9a-f]{32}\.new$/, is: madeUnfinished };

/** In the directory of a tenant that has one timeline: all others, finished or not. */
export const madeOtherTimelines = (current: string): readonly Made[] => [
  { name: new RegExp(`^(?!${current}$)[0-9a-f]{32}$`), is: madeTimeline },
  madeUnfinishedTimeline,
];

/** What is made in the directory of the storage. */
export const madeStorage: readonly Made[] = [
  {
    name: /^[0-9a-f]{32}$/,
    is: [{ name: /^[0-9a-f]{32}$/, is: madeTimeline }, madeUnfinishedTimeline],
  },
];
