import { expect, test } from 'vitest';
import { type Status, statuses, transitions } from '../../../../src/core/status.ts';
import { diagramOf } from '../../../../src/local/dashboard/diagram.ts';

test('the diagram has every status once, each at a place of its own', () => {
  const { nodes } = diagramOf();
  expect(nodes.map(({ status }) => status)).toEqual(statuses);
  expect(new Set(nodes.map(({ column, row }) => `${column} ${row}`)).size).toBe(statuses.length);
});

test('each arrow is a transition of the table, and each transition is an arrow or leads to an exit', () => {
  const { nodes, edges } = diagramOf();
  const exits = new Set(nodes.filter(({ isExit }) => isExit).map(({ status }) => status));
  expect([...exits].sort()).toEqual([
    'failed',
    'terminated',
    'termination_pending_fast',
    'termination_pending_immediate',
  ]);
  const known = (from: Status): readonly Status[] => transitions[from];
  for (const { from, to } of edges) expect(known(from)).toContain(to);
  for (const from of statuses)
    for (const to of known(from)) {
      const isDrawn = edges.some((edge) => edge.from === from && edge.to === to);
      expect(isDrawn || exits.has(to)).toBe(true);
    }
});
