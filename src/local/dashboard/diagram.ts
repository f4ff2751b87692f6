import { type Status, statuses, transitions } from '../../core/status.ts';

interface Place {
  readonly column: number;
  readonly row: number;
}

/** Where each status stands. One without a place fails to compile. In the last row are those that every status may lead to. */
const places = {
  empty: { column: 0, row: 0 },
  init: { column: 1, row: 0 },
  running: { column: 2, row: 0 },
  refresh_configuration: { column: 3, row: 0 },
  configuration_pending: { column: 0, row: 1 },
  configuration: { column: 1, row: 1 },
  refresh_configuration_pending: { column: 3, row: 1 },
  failed: { column: 0, row: 2 },
  termination_pending_fast: { column: 1, row: 2 },
  termination_pending_immediate: { column: 2, row: 2 },
  terminated: { column: 3, row: 2 },
} as const satisfies Record<Status, Place>;

export interface DiagramNode extends Place {
  readonly status: Status;
  readonly label: string;
  /** Every status may lead to it, so that no arrows are drawn for that. */
  readonly isExit: boolean;
}

export interface Diagram {
  readonly nodes: readonly DiagramNode[];
  readonly edges: readonly { readonly from: Status; readonly to: Status }[];
}

const after = (status: Status): readonly Status[] => transitions[status];

/** The table of the core as a picture. Pure. */
export function diagramOf(): Diagram {
  const exits = new Set(transitions.running.filter((to) => transitions.init.some((other) => other === to)));
  const nodes = statuses.map((status) => ({
    status,
    ...places[status],
    label: status.replaceAll('_', ' '),
    isExit: isIn(exits, status),
  }));
  const edges = statuses.flatMap((from) =>
    after(from)
      .filter((to) => !isIn(exits, to) || after(from).length === 1)
      .map((to) => ({ from, to })),
  );
  return { nodes, edges };
}

const isIn = (some: ReadonlySet<Status>, status: Status): boolean => some.has(status);
