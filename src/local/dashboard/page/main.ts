import { noHistory } from '../log-lines.ts';
import { outagesIn } from '../outages.ts';
import type { Model } from '../model.ts';
import { ownValue } from '../own-value.ts';
import { actionButton, status, tellProgress } from './act.ts';
import { catalogCard, checksCard, computeCard, downtimeCard } from './cards.ts';
import { chartCard } from './charts.ts';
import { diagramCard } from './diagram-card.ts';
import { command, nameDir } from './command.ts';
import { type Child, h, keyed, part, setText } from './dom.ts';
import { shownNumber, shownRate, shownTime } from './format.ts';
import { logCard } from './log-card.ts';
import { overallOf } from './overall.ts';
import { ofPlan, planCard } from './plan-card.ts';
import { startsCard } from './starts-card.ts';
import { storageCard } from './storage-card.ts';
import { type View, mainName, openStore } from './store.ts';
import { treeCard } from './tree-card.ts';

const checks = checksCard();
const compute = computeCard();
const diagram = diagramCard();
const starts = startsCard();
const downtimes = downtimeCard();
const catalog = catalogCard();
const storage = storageCard();
const tree = treeCard();
const plan = planCard();
const log = logCard();
const charts = [
  chartCard({
    title: 'Sessions',
    shown: shownNumber,
    least: 4,
    unit: 'count',
    series: [
      { label: 'of clients', colour: '--phase-0', value: ({ clients }) => clients },
      { label: 'active', colour: '--phase-1', value: ({ active }) => active },
      { label: 'idle in a transaction', colour: '--phase-3', value: ({ inTransaction }) => inTransaction },
    ],
  }),
  chartCard({
    title: 'Transactions per second',
    shown: shownNumber,
    least: 4,
    unit: 'rate',
    series: [
      { label: 'commits', colour: '--phase-0', value: ({ commits }) => commits },
      { label: 'rollbacks', colour: '--phase-3', value: ({ rollbacks }) => rollbacks },
    ],
  }),
  chartCard({
    title: 'WAL written',
    shown: shownRate,
    least: 1024,
    unit: 'bytes',
    series: [{ label: 'WAL', colour: '--phase-2', value: ({ walBytes }) => walBytes }],
  }),
];

const overall = h('span', { class: 'pill' });
const live = h('span', { class: 'live', role: 'status' });
const where = h('p', { class: 'where' });
const general = h('div', { class: 'actions' });
const banner = h('div', { class: 'banner', role: 'alert', hidden: true });
const tabs = h('fieldset', { class: 'tabs' });
const footer = h('footer');

document.body.append(
  h('a', { class: 'skip', href: '#content' }, 'Go to the content'),
  h('header', {}, h('div', { class: 'title' }, h('h1', {}, 'compute-local'), overall, live), where, general),
  banner,
  h(
    'main',
    { id: 'content', tabindex: '-1' },
    status,
    tabs,
    h(
      'div',
      { class: 'grid' },
      checks.element,
      compute.element,
      tree.element,
      plan.element,
      ...charts.map(({ element }) => element),
      diagram.element,
      starts.element,
      storage.element,
      h('div', { class: 'column w6' }, catalog.element, downtimes.element),
      log.element,
    ),
  ),
  footer,
);

const links = {
  connecting: 'connecting',
  live: 'live',
  lost: 'connecting again',
  closed: 'not connected',
  ended: 'not connected',
} as const;

const drawTabs = part(tabs, ({ names, chosen }: { names: readonly string[]; chosen: string }): Child[] => [
  h('legend', { class: 'hidden' }, 'Compute that is shown'),
  ...names.map((name) =>
    h(
      'label',
      {},
      h('input', {
        type: 'radio',
        name: 'compute',
        value: name,
        checked: name === chosen,
        change: () => store.choose(name),
        ...keyed(`show ${name}`, name),
      }),
      h('span', {}, name),
    ),
  ),
]);
const drawGeneral = part(general, (offers: Model['offers']) => offers.map((one) => actionButton(one)));

const store = openStore(draw, (name, lines, isWhole) => log.take(name, lines, isWhole), tellProgress);

/** Nobody knows why. */
const silent = (): string =>
  `Nothing has come from compute-local up for a while: it may have ended, or hang. See: ${command('status')}`;

function draw({ link, why, isSilent, model, samples, chosen }: View): void {
  if (model !== null) nameDir(model.dirOption);
  setText(live, isSilent && link === 'live' ? 'nothing comes' : links[link]);
  live.className = `live ${isSilent && link === 'live' ? 'lost' : link}`;
  const fault = why ?? (isSilent ? silent() : null);
  const since = model === null ? '' : ` What is below was so at ${shownTime(model.at)}.`;
  banner.hidden = fault === null;
  setText(banner, fault === null ? '' : `${fault}.${since}`);
  status.hidden = why !== null;
  if (model === null) return;
  const { report, details, history, sleeps } = model;
  const isOver = link === 'closed' || link === 'ended';
  const offers = isOver ? [] : model.offers;
  const state = overallOf(link, isSilent, report.state);
  setText(overall, state);
  overall.className = `pill ${isOver || isSilent ? 'stopped' : report.state}`;
  document.title = `${state} · compute-local`;
  where.textContent = `${report.dir}${report.since === null ? '' : `, since ${shownTime(report.since)}`}`;
  footer.textContent = `compute-local ${model.version}`;
  const now = report.computes.find(({ name }) => name === chosen) ?? report.computes[0] ?? null;
  const name = now?.name ?? '';
  drawTabs({ names: report.computes.map((one) => one.name), chosen: name });
  tabs.hidden = report.computes.length < 2;
  drawGeneral(offers.filter(({ action }) => action === 'stop'));
  checks.update(model.checks);
  const told = ownValue(details, name);
  compute.update(
    now === null
      ? null
      : {
          compute: now,
          lastActive: told?.lastActive ?? null,
          error: told?.error ?? null,
          figures: ownValue(samples.at(-1)?.computes ?? {}, name) ?? null,
          offers: offers.filter(({ action, target }) => target === name && !ofPlan.includes(action)),
        },
  );
  const past = ownValue(history, name) ?? noHistory;
  const slept = name === mainName ? sleeps : [];
  diagram.update({ status: told?.status ?? null, history: past });
  starts.update(past.starts);
  downtimes.update({
    downtime: told?.downtime ?? null,
    outages: outagesIn(past.changes, Date.parse(model.at), slept),
  });
  catalog.update({ objects: told?.objects ?? [], applied: past.applied });
  storage.update({ storage: report.storage, disk: report.disk });
  tree.update({ tree: model.tree, offers });
  plan.element.classList.toggle('w5', model.tree !== null);
  plan.update({ plan: model.plan, offers });
  log.choose(name);
  for (const chart of charts) chart.update(samples, name, slept);
}
