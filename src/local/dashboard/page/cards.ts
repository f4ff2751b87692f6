import type { ComputeReport } from '../../status/schema.ts';
import type { Applied, CatalogObject, Check, Downtime, Figures, Offer } from '../model.ts';
import { actionButton } from './act.ts';
import { type Child, card, h, part, table } from './dom.ts';
import { shownBytes, shownDuration, shownMs, shownTime, words } from './format.ts';

export interface Drawn<T> {
  readonly element: HTMLElement;
  readonly update: (data: T) => void;
}

const signs = { ok: '✓', wait: '…', bad: '!' } as const;
const spoken = { ok: 'well', wait: 'to note', bad: 'not well' } as const;

/** Is all well, what is not, what to do. */
export function checksCard(): Drawn<readonly Check[]> {
  const { element, body, extra } = card('Checklist', 7);
  const drawSum = part(extra, (checks: readonly Check[]): Child[] => {
    const [bad, wait] = (['bad', 'wait'] as const).map(
      (kind) => checks.filter(({ state }) => state === kind).length,
    );
    if (bad === 0) return [h('span', { class: 'good' }, wait === 0 ? 'all is well' : 'nothing to do')];
    return [h('span', { class: 'fault' }, `${bad} to do`)];
  });
  const drawList = part(body, (checks: readonly Check[]) => [
    h(
      'ul',
      { class: 'checks' },
      ...checks.map(({ state, text, hint }) =>
        h(
          'li',
          { class: state },
          h('span', { class: 'sign', 'aria-hidden': 'true' }, signs[state]),
          h(
            'div',
            {},
            h('span', { class: 'hidden' }, `${spoken[state]}: `),
            text,
            hint === null ? null : h('p', { class: 'hint' }, h('b', {}, 'What to do: '), hint),
          ),
        ),
      ),
    ),
  ]);
  return {
    element,
    update(checks) {
      drawSum(checks);
      drawList(checks);
    },
  };
}

export const facts = (pairs: readonly (readonly [string, Child])[]): HTMLElement =>
  h('dl', {}, ...pairs.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));

export interface ComputeShown {
  readonly compute: ComputeReport;
  readonly lastActive: string | null;
  readonly error: string | null;
  readonly figures: Figures | null;
  readonly offers: readonly Offer[];
}

export function computeCard(): Drawn<ComputeShown | null> {
  const { element, body, extra } = card('Compute', 5);
  const drawState = part(extra, (compute: ComputeReport | null): Child[] =>
    compute === null ? [] : [h('span', { class: `pill ${compute.state}` }, words(compute.state))],
  );
  const drawBody = part(body, (shown: ComputeShown | null): Child[] => {
    if (shown === null) return [];
    const { compute, lastActive, error, figures, offers } = shown;
    const { name, role, ports, lsn, at_lsn, lag, connections, since, exits, detail, sleep } = compute;
    const behindBy = lag === null ? null : `${shownBytes(lag.bytes)} behind`;
    return [
      facts([
        ['Name', `${name}, ${role}`],
        ['Postgres', `127.0.0.1:${ports.postgres}${since === null ? '' : `, since ${shownTime(since)}`}`],
        ['HTTP API', `127.0.0.1:${ports.http}`],
        [at_lsn === null ? 'LSN' : 'Shows LSN', [at_lsn ?? lsn ?? '–', behindBy].filter(Boolean).join(', ')],
        ['Sessions', connections === null ? '–' : sessionsText(connections, figures)],
        ['Last active', lastActive === null ? '–' : shownTime(lastActive)],
        ['Sleep', sleepText(sleep, compute.state)],
        ['On disk', shownBytes(compute.disk_bytes)],
        ...(exits === 0 ? [] : [['Restarts', `${exits} since its up began`] as const]),
      ]),
      detail === null ? null : h('p', { class: 'note' }, detail),
      error === null ? null : h('pre', { class: 'error', tabindex: '0' }, error),
      offers.length === 0 ? null : h('div', { class: 'actions' }, ...offers.map((one) => actionButton(one))),
    ];
  });
  return {
    element,
    update(shown) {
      drawState(shown?.compute ?? null);
      drawBody(shown);
    },
  };
}

function sessionsText(clients: number, figures: Figures | null): string {
  const { active, inTransaction, limit } = figures ?? {};
  if (typeof limit !== 'number' || limit === 0) return String(clients);
  return `${clients} of ${limit}; ${active ?? 0} active, ${inTransaction ?? 0} idle in a transaction`;
}

function sleepText(sleep: ComputeReport['sleep'], state: string): string {
  if (sleep === null) return state === 'running' ? 'never' : '–';
  const { suspend_after_ms: afterMs, kept_awake_by: holders, woken_by: by, last_wake_ms: ms } = sleep;
  const woken = by === null || ms === null ? '' : `; the last wake took ${shownDuration(ms)}, for ${by}`;
  const who = holders.map((one) => `${words(one.kind)}: ${one.who}`).join(', ');
  const held = who === '' ? '' : `; now kept awake by ${who}`;
  return `after ${shownMs(afterMs)} without use${held}${woken}`;
}

export interface DowntimeShown {
  readonly downtime: Downtime | null;
  /** Those that compute_ctl does not know. */
  readonly outages: Downtime['incidents'];
}

const mostIncidents = 12;

export function downtimeCard(): Drawn<DowntimeShown> {
  const { element, body, extra } = card('Downtimes', 6);
  const rows = table('Downtimes, the newest first', ['From', 'How long', 'Why']);
  const none = h('p', { class: 'none' }, 'None is known.');
  body.append(none, rows.element);
  const update = part(extra, ({ downtime, outages }: DowntimeShown): Child[] => {
    const all = [...(downtime?.incidents ?? []), ...outages].toSorted((a, b) => b.from.localeCompare(a.from));
    rows.element.hidden = all.length === 0;
    none.hidden = all.length > 0;
    rows.fill(
      all
        .slice(0, mostIncidents)
        .map(({ from, to, ms, why }) => [
          shownTime(from),
          to === null ? h('span', { class: 'fault' }, `lasts, ${shownDuration(ms)}`) : shownDuration(ms),
          why,
        ]),
    );
    return all.length === 0 ? [] : [`${shownDuration(all.reduce((sum, { ms }) => sum + ms, 0))} in all`];
  });
  return { element, update };
}

interface Catalog {
  readonly objects: readonly CatalogObject[];
  readonly applied: Applied | null;
}

export function catalogCard(): Drawn<Catalog> {
  const { element, body, extra } = card('Roles and databases', 6);
  const rows = table('Roles and databases of the compute', ['Name', 'Kind', 'Owner', 'Last apply']);
  rows.element.classList.add('long');
  const builtIn = h('p', { class: 'note' });
  body.append(rows.element, builtIn);
  const update = part(extra, ({ objects, applied }: Catalog): Child[] => {
    const own = objects.filter(({ state }) => state !== 'built in');
    const others = objects.length - own.length;
    rows.fill(own.map((one) => [one.name, one.kind, one.owner ?? '–', lastApply(one, applied)]));
    builtIn.textContent = others === 0 ? '' : `and ${others} that PostgreSQL or compute_ctl brings along`;
    if (applied === null) return [];
    return [`${applied.statements} statements in ${shownDuration(applied.ms)}`];
  });
  return { element, update };
}

function lastApply({ state, error, hint, since, accepted }: CatalogObject, applied: Applied | null): Child {
  const asked = accepted === null ? '' : `; compute.json of ${shownTime(accepted)}`;
  switch (state) {
    case 'applied': {
      const when = applied === null ? 'applied' : `applied at ${shownTime(applied.at)}`;
      return h('span', { class: 'good' }, `${when}${asked}`);
    }
    case 'failed':
      return h('span', { class: 'fault' }, `failed since ${shownTime(since ?? '')}: ${error} ${hint ?? ''}`);
    case 'missing':
      return h('span', { class: 'fault' }, `not there${asked}`);
    case 'unknown':
      return `not looked at while Postgres does not run${asked}`;
    case 'by hand':
    case 'built in':
  }
  return 'created by SQL';
}
