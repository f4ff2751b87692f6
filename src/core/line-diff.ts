/** A line of both texts, of the first alone, or of the second alone. */
export interface Edit {
  readonly kind: ' ' | '-' | '+';
  readonly line: string;
}

/** Beyond this many changes a shorter way is not searched for: it would take too much memory. */
const mostChanges = 2000;

/** How the lines of one text become those of another, with the fewest changes.
 *  @see https://doi.org/10.1007/BF01840446 Myers, An O(ND) difference algorithm */
export function lineDiff(from: readonly string[], to: readonly string[]): Edit[] {
  let begin = 0;
  while (begin < from.length && begin < to.length && from[begin] === to[begin]) begin++;
  let same = 0;
  const most = Math.min(from.length, to.length) - begin;
  while (same < most && from.at(-1 - same) === to.at(-1 - same)) same++;
  const keep = (lines: readonly string[]): Edit[] => lines.map((line) => ({ kind: ' ', line }));
  const middle = shortest(from.slice(begin, from.length - same), to.slice(begin, to.length - same));
  return [...keep(from.slice(0, begin)), ...middle, ...keep(from.slice(from.length - same))];
}

function shortest(from: readonly string[], to: readonly string[]): Edit[] {
  // How far each diagonal has come, after each number of changes.
  const trace: Map<number, number>[] = [];
  let reached = new Map<number, number>([[1, 0]]);
  for (let changes = 0; changes <= Math.min(from.length + to.length, mostChanges); changes++) {
    const next = new Map<number, number>(reached);
    trace.push(reached);
    for (let diagonal = -changes; diagonal <= changes; diagonal += 2) {
      let x = isDown(reached, diagonal, changes)
        ? (reached.get(diagonal + 1) ?? 0)
        : (reached.get(diagonal - 1) ?? 0) + 1;
      while (x < from.length && x - diagonal < to.length && from[x] === to[x - diagonal]) x++;
      next.set(diagonal, x);
      if (x >= from.length && x - diagonal >= to.length) return walkBack(from, to, trace);
    }
    reached = next;
  }
  return [
    ...from.map((line) => ({ kind: '-', line }) as const),
    ...to.map((line) => ({ kind: '+', line }) as const),
  ];
}

const isDown = (reached: ReadonlyMap<number, number>, diagonal: number, changes: number): boolean =>
  diagonal === -changes ||
  (diagonal !== changes && (reached.get(diagonal - 1) ?? -1) < (reached.get(diagonal + 1) ?? -1));

function walkBack(
  from: readonly string[],
  to: readonly string[],
  trace: readonly ReadonlyMap<number, number>[],
): Edit[] {
  const edits: Edit[] = [];
  let [x, y] = [from.length, to.length];
  for (let changes = trace.length - 1; changes >= 0; changes--) {
    const reached = trace[changes] as ReadonlyMap<number, number>;
    const diagonal = x - y;
    const before = isDown(reached, diagonal, changes) ? diagonal + 1 : diagonal - 1;
    const [beforeX, beforeY] = [reached.get(before) ?? 0, (reached.get(before) ?? 0) - before];
    while (x > Math.max(beforeX, 0) && y > Math.max(beforeY, 0) && from[x - 1] === to[y - 1]) {
      edits.push({ kind: ' ', line: from[x - 1] as string });
      [x, y] = [x - 1, y - 1];
    }
    if (changes === 0) break;
    if (x === beforeX) edits.push({ kind: '+', line: to[y - 1] as string });
    else edits.push({ kind: '-', line: from[x - 1] as string });
    [x, y] = [beforeX, beforeY];
  }
  return edits.toReversed();
}

const context = 3;

/** The changes with the lines around them, in the form of `diff -u`; empty when there are none. */
export function unified(edits: readonly Edit[]): string[] {
  const near = edits.map((_, at) =>
    edits.slice(Math.max(0, at - context), at + context + 1).some(({ kind }) => kind !== ' '),
  );
  const lines: string[] = [];
  let [ofFrom, ofTo] = [1, 1];
  for (const [at, { kind, line }] of edits.entries()) {
    if (near[at] === true && near[at - 1] !== true) lines.push(hunkHead(edits, near, at, [ofFrom, ofTo]));
    if (near[at] === true) lines.push(`${kind}${line}`);
    if (kind !== '+') ofFrom++;
    if (kind !== '-') ofTo++;
  }
  return lines;
}

function hunkHead(
  edits: readonly Edit[],
  near: readonly boolean[],
  at: number,
  [ofFrom, ofTo]: readonly [number, number],
): string {
  const end = near.indexOf(false, at);
  const hunk = edits.slice(at, end === -1 ? undefined : end);
  const [removed, added] = [
    hunk.filter(({ kind }) => kind !== '+').length,
    hunk.filter(({ kind }) => kind !== '-').length,
  ];
  const place = (begin: number, count: number): string => `${count === 0 ? begin - 1 : begin},${count}`;
  return `@@ -${place(ofFrom, removed)} +${place(ofTo, added)} @@`;
}
