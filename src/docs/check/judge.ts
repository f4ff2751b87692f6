import { configFileSchema } from '../../spec/schema.ts';
import { type SchemaNode, unwrap } from '../../spec/walk.ts';
import { wrongInCall, wrongInLine } from './call.ts';
import type { Known } from './known.ts';
import { nearest, unknown } from './nearest.ts';
import type { Piece } from './page.ts';
import { wrongFile, wrongRoute } from './path-name.ts';
import { commandsOf, commentOf } from './shell.ts';

const shells: ReadonlySet<string> = new Set(['sh', 'bash', 'shell', 'console']);
const url = /^(\w+):\/\/([^/\s]*)(\/\S*)?$/;

export interface Judging {
  readonly known: Known;
  /** The page's path. */
  readonly page: string;
  /** Whether a name is right although nothing here has it. */
  readonly isException: (name: string) => boolean;
}

/** What is wrong with the names in one piece of a page. */
export function wrongNames({ kind, lang, text }: Piece, judging: Judging): string[] {
  if (judging.isException(text)) return [];
  if (kind === 'span') return inSpan(text, judging);
  if (shells.has(lang)) return inShell(lang, text, judging);
  if (lang === 'json') return inJson(text, judging);
  const ours = kind === 'block' ? wrongInLine(text, judging.known) : [];
  // Of other programs the options are not known.
  const isForeign = kind === 'block' && judging.isException(text.split(' ', 1)[0] ?? '');
  return isForeign ? ours : [...ours, ...inProse(text, judging)];
}

/** Of prose only what cannot be anything else: options, variables, requests and files of the repository. */
function inProse(text: string, judging: Judging): string[] {
  const options = text.match(/(?<![\w-])--[a-z][\w-]*/g) ?? [];
  const variables = text.match(/(?<![\w/$])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w*])/g) ?? [];
  const requests = [...text.matchAll(/\b(GET|HEAD|POST|DELETE) (\/[\w./{}]*[\w}])/g)];
  const paths = text.match(/(?<![\w/.:*…)])\/[a-z][a-z_]{3,}(?:\.json)?(?![\w/])/g) ?? [];
  const files = text.match(/(?<![\w/.-])(?:src|docs|test|scripts|bench|examples)\/[\w./-]*\w/g) ?? [];
  return [
    ...files.flatMap((file) =>
      judging.isException(file) ? [] : wrongFile(file, judging.page, judging.known),
    ),
    ...options.flatMap((option) => optionWrong(option, judging)),
    ...variables.flatMap((variable) => wordWrong(variable, judging)),
    ...requests.flatMap(([, method = '', path = '']) => routeWrong(path, judging, method)),
    ...paths.flatMap((path) => routeWrong(path, judging, null)),
  ];
}

/** In a console only what follows a prompt is a command. */
function inShell(lang: string, text: string, judging: Judging): string[] {
  const prompt = /^\s*\$ /.exec(text)?.[0];
  if (lang === 'console' && prompt === undefined) return inProse(text, judging);
  const commands = commandsOf(text.slice(prompt?.length ?? 0));
  return [...commands.flatMap((words) => commandWrong(words, judging)), ...inProse(commentOf(text), judging)];
}

function commandWrong(words: readonly string[], judging: Judging): string[] {
  const [first = ''] = words;
  const variable = /^([A-Z][A-Z0-9_]+)=/.exec(first)?.[1];
  return [
    ...(wrongInCall(fromProgram(words, judging.known), judging.known) ?? []),
    ...words.flatMap((word) => (url.test(word) ? urlWrong(word, judging) : [])),
    ...(variable === undefined ? [] : wordWrong(variable, judging)),
  ];
}

/** From the program of ours that another one starts: `timeout 60 compute_ctl …`. */
function fromProgram(words: readonly string[], { programs }: Known): readonly string[] {
  const at = words.findIndex((word) => programs.has(word.split('/').at(-1) ?? ''));
  return words.slice(Math.max(at, 0));
}

const inJson = (text: string, judging: Judging): string[] =>
  [...text.matchAll(/"([\w.-]+)"\s*:/g)].flatMap(([, name = '']) => wordWrong(name, judging));

/** Inline code: a call, a request, or words of which each is judged by its form. */
function inSpan(text: string, judging: Judging): string[] {
  const calls = commandsOf(text).map((words) => wrongInCall(words, judging.known));
  if (calls.some((wrong) => wrong !== null)) return calls.flatMap((wrong) => wrong ?? []);
  const words = text.split(/\s+/);
  const [first = '', second = ''] = words;
  if (judging.known.scripts.has(first) && words.length > 1) return inSpan(`npm run ${text}`, judging);
  if (/^[A-Z]+$/.test(first) && second.startsWith('/')) {
    const rest = words.slice(2).flatMap((word) => tokenWrong(word, judging));
    return [...routeWrong(second, judging, first), ...rest];
  }
  if (words.length === 1) return tokenWrong(first, judging);
  // Of other programs neither the options nor the plain words are known.
  const isForeign = judging.isException(first);
  return words.flatMap((word) =>
    /^[A-Za-z]+$/.test(word) || (isForeign && word.startsWith('-')) ? [] : tokenWrong(word, judging),
  );
}

/** Without what surrounds a name, and without `[]` for every element. */
const bareOf = (text: string): string =>
  text.replaceAll(/^[[({"'<]+|[\])}>"',;:]+$/g, '').replaceAll('[]', '');

const fileName = /^[\w*-][\w*.-]*\.(?:ts|mts|mjs|cjs|md|json|conf|log|pid|sql|marker|ya?ml)$/;

function tokenWrong(token: string, judging: Judging): string[] {
  const { known, page, isException } = judging;
  const bare = bareOf(token);
  if (bare === '' || isException(token) || isException(bare) || isNumber(bare)) return [];
  const option = /^--?[A-Za-z][\w-]*/.exec(bare)?.[0];
  if (option !== undefined) return optionWrong(option, judging);
  if (url.test(bare)) return urlWrong(bare, judging);
  if (bare.startsWith('/')) return wrongRoute(bare, known, null);
  if (bare.includes('/') || fileName.test(bare)) return wrongFile(bare, page, known);
  const parts = bare.split(/[^\w-]+|-+$|-(?=\*)/);
  return fieldWrong(bare) ?? parts.flatMap((word) => wordWrong(word, judging));
}

const isNumber = (text: string): boolean => /^[\d.:]+(?:[kMGT]?B)?$/.test(text);

/** The path of a URL of this machine. */
function urlWrong(text: string, judging: Judging): string[] {
  const [, scheme = '', host = '', path = ''] = url.exec(text) ?? [];
  const isOurs = /^(?:https?|ws)$/.test(scheme) && /^(?:localhost|127\.0\.0\.1|…|\[::1\])(?::|$)/.test(host);
  return isOurs && path.length > 1 ? routeWrong(path, judging, null) : [];
}

/** `spec.cluster.roles` and the like, by the schema; null for other names. */
function fieldWrong(path: string): string[] | null {
  if (!/^(?:spec|compute_ctl_config)\.\w/.test(path)) return null;
  let node: SchemaNode = configFileSchema;
  for (const part of path.split('.')) {
    const { entries = {} } = (node = elementOf(node));
    const member = Object.hasOwn(entries, part) ? entries[part] : undefined;
    if (member === undefined) return [unknown(`the field ${part} of ${path}`, part, Object.keys(entries))];
    node = member;
  }
  return [];
}

function elementOf(schema: SchemaNode): SchemaNode {
  const node = unwrap(schema);
  const inner = node.item ?? node.value;
  return node.entries !== undefined || inner === undefined ? node : elementOf(inner);
}

const routeWrong = (path: string, { known, isException }: Judging, method: string | null): string[] =>
  isException(path) ? [] : wrongRoute(path, known, method);

function optionWrong(option: string, { known, isException }: Judging): string[] {
  const { flags, shorts } = known;
  // A short option may have its value at once: `-Dx`.
  const isShort = !option.startsWith('--') && shorts.has(option.slice(0, 2));
  if (flags.has(option) || isShort || isException(option)) return [];
  return [unknown(`the option ${option}`, option, [...flags, ...shorts])];
}

function wordWrong(word: string, { known, isException }: Judging): string[] {
  if (!/^[A-Za-z_][\w-]+$/.test(word) || known.words.has(word) || known.names.has(word) || isException(word))
    return [];
  const isOurs = nearest(word, known.names) !== null;
  return [unknown(`the name ${word}`, word, isOurs ? known.names : known.words)];
}
