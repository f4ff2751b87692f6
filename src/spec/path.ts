export type JsonPath = readonly (string | number)[];

/** `spec.cluster.roles[1].name`; names that are not identifiers go into brackets and quotes. */
export const showPath = (path: JsonPath): string =>
  path.map((part, at) => showPart(part, at === 0)).join('') || 'the document';

function showPart(part: string | number, first: boolean): string {
  if (typeof part === 'number') return `[${part}]`;
  if (!/^[A-Za-z_][\w-]*$/.test(part)) return `[${JSON.stringify(part)}]`;
  return first ? part : `.${part}`;
}
