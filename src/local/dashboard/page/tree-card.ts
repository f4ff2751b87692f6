import type { Offer } from '../model.ts';
import type { Tree, TreeNode } from '../tree-model.ts';
import { actionButton } from './act.ts';
import type { Drawn } from './cards.ts';
import { type Child, card, h, part } from './dom.ts';
import { shownBytes, shownTime, words } from './format.ts';
import { mainName } from './store.ts';

export interface TreeShown {
  readonly tree: Tree | null;
  readonly offers: readonly Offer[];
}

/** All computes with storages of their own, each below the one that it was branched from: lists in lists. */
export function treeCard(): Drawn<TreeShown> {
  const { element, body, extra } = card('Branches', 7);
  body.classList.add('long');
  const drawCount = part(extra, (count: number): Child[] => [
    count === 0 ? 'none yet' : count === 1 ? '1 branch' : `${count} branches`,
  ]);
  const drawTree = part(body, ({ tree, offers }: TreeShown): Child[] => {
    if (tree === null) return [];
    if (tree.error !== null)
      return [h('p', { class: 'error' }, `The branches cannot be listed: ${tree.error}`)];
    const damaged = tree.damaged.map((text) => h('p', { class: 'error' }, text));
    return [listOf(tree.computes, offers, 0), ...damaged, ...noneYet(tree)];
  });
  return {
    element,
    update(shown) {
      element.hidden = shown.tree === null;
      drawCount(Math.max(0, (shown.tree?.computes.length ?? 0) - 1));
      drawTree(shown);
    },
  };
}

const noneYet = ({ computes }: Tree): Child[] =>
  computes.length > 1
    ? []
    : [
        h(
          'p',
          { class: 'note' },
          'A branch is a second compute with the same data, as of now or of an earlier time, which takes only what is changed in it.',
        ),
      ];

/** Those at the beginning that are as deep as the first, each with what is below it. */
function listOf(all: readonly TreeNode[], offers: readonly Offer[], depth: number): HTMLElement {
  const starts = all.flatMap((one, at) => (one.depth === depth ? [at] : []));
  return h(
    'ul',
    depth === 0 ? { class: 'tree', 'aria-label': 'Computes' } : {},
    ...starts.map((at, index) => {
      const below = all.slice(at + 1, starts[index + 1]);
      const node = all[at] as TreeNode;
      return h(
        'li',
        { 'data-compute': node.name },
        item(node, offers),
        below.length === 0 ? null : listOf(below, offers, depth + 1),
      );
    }),
  );
}

function item(node: TreeNode, offers: readonly Offer[]): HTMLElement {
  const { name, state, restorable } = node;
  const general = offers.filter(({ action }) => action === 'branch' && restorable !== null);
  // Those of main are at the compute itself.
  const own = offers.filter(({ target }) => target === name && name !== mainName);
  const buttons = [
    ...own.map((one) => actionButton(one)),
    ...general.map((one) => actionButton(one, { from: name }, name)),
  ];
  return h(
    'div',
    { class: 'node' },
    h(
      'div',
      { class: 'line' },
      h('b', {}, name),
      h('span', { class: `pill ${state}` }, words(state)),
      buttons.length === 0 ? null : h('div', { class: 'actions' }, ...buttons),
    ),
    h(
      'dl',
      { class: 'pairs' },
      ...pairsOf(node).map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))),
    ),
  );
}

function pairsOf(node: TreeNode): (readonly [string, string])[] {
  const { parent, parentLsn, createdAt, expiresAt, restorable, storageBytes, sharedBytes, url } = node;
  const shared = sharedBytes === 0 ? '' : `, ${shownBytes(sharedBytes)} shared`;
  return [
    ...(parentLsn === null
      ? []
      : [['Branched from', `${parent ?? 'a compute that is gone'} at ${parentLsn}`] as const]),
    ...(createdAt === null ? [] : [['Created', shownTime(createdAt)] as const]),
    ...(expiresAt === null ? [] : [['Is deleted', shownTime(expiresAt)] as const]),
    ['Size of its own', `${shownBytes(storageBytes)}${shared}`],
    [
      'Restorable',
      restorable === null
        ? 'nothing yet'
        : `${restorable.fromLsn} (${shownTime(restorable.fromTime)}) to ${restorable.toLsn}`,
    ],
    ['URL', url],
  ];
}
