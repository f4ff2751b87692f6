import type { DiskReport, StorageReport } from '../../status/schema.ts';
import { command } from './command.ts';
import { type Drawn, facts } from './cards.ts';
import { type Child, behind, card, h, part, styled, table } from './dom.ts';
import { shownBytes, shownMs, shownTime, words } from './format.ts';

interface Stored {
  readonly storage: StorageReport | null;
  readonly disk: DiskReport | null;
}

const diskParts = [
  ['Base backups', 'base_bytes'],
  ['WAL', 'wal_bytes'],
  ['Data directories', 'data_bytes'],
  ['Prepared starts', 'prepared_bytes'],
  ['Logs', 'log_bytes'],
] as const;

export function storageCard(): Drawn<Stored> {
  const { element, body, extra } = card('Storage', 6);
  const picture = h('div');
  const rows = table('What the directory takes', ['Part', 'Size']);
  const list = h('div');
  body.append(list, picture, behind('The disk', rows));
  const drawState = part(extra, (state: string | null): Child[] =>
    state === null ? [] : [h('span', { class: `pill ${state}` }, words(state))],
  );
  const drawList = part(list, (storage: StorageReport | null) =>
    storage === null ? [] : storageFacts(storage),
  );
  const drawDisk = part(picture, (disk: DiskReport | null): Child[] => {
    if (disk === null) return [];
    const known = diskParts.map(([name, key]) => [name, disk[key]] as const);
    const rest = disk.total_bytes - known.reduce((sum, [, bytes]) => sum + bytes, 0);
    const parts = [...known, ...(rest > 0 ? [['Branches and others', rest] as const] : [])];
    rows.fill([
      ...parts.map(([name, bytes]) => [name, shownBytes(bytes)]),
      ['All', shownBytes(disk.total_bytes)],
      ['Free on the disk', disk.free_bytes === null ? '–' : shownBytes(disk.free_bytes)],
    ]);
    const bars = parts.map(([, bytes], at) =>
      styled(h('span'), {
        width: `${(bytes / Math.max(disk.total_bytes, 1)) * 100}%`,
        background: `var(--phase-${at})`,
      }),
    );
    const legend = parts.map(([name, bytes], at) =>
      h(
        'span',
        {},
        styled(h('i'), { background: `var(--phase-${at})` }),
        `${name} `,
        h('b', {}, shownBytes(bytes)),
      ),
    );
    const all = `${shownBytes(disk.total_bytes)} on disk${disk.complete ? '' : ' at least'}`;
    const free = disk.free_bytes === null ? '' : `, ${shownBytes(disk.free_bytes)} free`;
    return [
      h('p', { class: 'over' }, `${all}${free}`),
      h('div', { class: 'stack big', role: 'img', 'aria-label': all }, ...bars),
      h('p', { class: 'legend' }, ...legend),
    ];
  });
  return {
    element,
    update({ storage, disk }) {
      drawState(storage?.state ?? null);
      drawList(storage);
      drawDisk(disk);
    },
  };
}

function storageFacts({
  restorable,
  base,
  wal_bytes = 0,
  compaction_at_bytes,
  attached,
  disk,
}: StorageReport): Child[] {
  const lsn = (text: string): HTMLElement => h('code', {}, text);
  const full = disk?.full_in_seconds ?? null;
  const next =
    compaction_at_bytes === undefined
      ? ''
      : ` of ${shownBytes(compaction_at_bytes)} until the next base backup`;
  return [
    facts([
      ['Commits', attached === undefined ? '–' : attached ? 'are received' : 'no primary is connected'],
      [
        'Restorable',
        restorable === undefined
          ? '–'
          : h('span', {}, lsn(restorable.from_lsn), ' to ', lsn(restorable.to_lsn)),
      ],
      [
        'Base backup',
        base === undefined
          ? '–'
          : `number ${base.number}, PostgreSQL ${base.postgres_major}${base.taken_at === null ? '' : `, ${shownTime(base.taken_at)}`}`,
      ],
      ['WAL since then', `${shownBytes(wal_bytes)}${next}`],
      ...(full === null ? [] : [['Disk is full', `in ${shownMs(full * 1000)} at this rate`] as const]),
    ]),
    compaction_at_bytes === undefined
      ? null
      : h(
          'div',
          { class: 'stack thin', 'aria-hidden': 'true' },
          styled(h('span'), { width: `${Math.min(100, (wal_bytes / compaction_at_bytes) * 100)}%` }),
        ),
    restorable === undefined
      ? null
      : h(
          'p',
          { class: 'note' },
          'The data at one of these LSNs: ',
          h('code', {}, command(`up --at-lsn ${restorable.to_lsn}`)),
        ),
  ];
}
