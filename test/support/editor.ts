import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** What is installed in test/package-checks; apart, so its types are not at hand. */
const load = createRequire(new URL('../package-checks/package.json', import.meta.url));

interface Place {
  readonly line: number;
  readonly character: number;
}

interface Diagnostic {
  readonly message: string;
  readonly range: { readonly start: Place };
}

interface Offer {
  readonly label: string;
  readonly documentation?: string | { readonly value: string };
}

interface Service {
  parseJSONDocument(document: unknown): unknown;
  doValidation(document: unknown, json: unknown, settings: object): Promise<Diagnostic[]>;
  doComplete(document: unknown, at: Place, json: unknown): Promise<{ items: Offer[] }>;
  doHover(
    document: unknown,
    at: Place,
    json: unknown,
  ): Promise<{ contents: readonly (string | { value: string })[] } | null>;
}

const wordsOf = (text: string | { readonly value: string } | undefined): string =>
  typeof text === 'object' ? text.value : (text ?? '');

/** A file as it is open in an editor: by the library of Visual Studio Code, which others use, too. A schema is read from where the
 *  file's `$schema` says, and from nowhere else. */
export function openInEditor(path: string, text = readFileSync(path, 'utf8')) {
  const { getLanguageService, TextDocument } = load('vscode-json-languageservice') as {
    getLanguageService: (given: object) => Service;
    TextDocument: { create(uri: string, language: string, version: number, text: string): unknown };
  };
  const service = getLanguageService({
    schemaRequestService: async (uri: string) => readFileSync(fileURLToPath(uri), 'utf8'),
    workspaceContext: { resolveRelativePath: (given: string, base: string) => new URL(given, base).href },
  });
  // `json` is what an editor takes a compute.json for: without comments, unless its schema allows them.
  const document = TextDocument.create(pathToFileURL(path).href, 'json', 1, text);
  const json = service.parseJSONDocument(document);
  const placeOf = (mark: string): Place => {
    const before = text.slice(0, text.indexOf(mark)).split('\n');
    return { line: before.length - 1, character: before.at(-1)?.length ?? 0 };
  };
  return {
    /** What is marked: the text from there to the end of the line, and the message. */
    async marked(): Promise<{ at: string; message: string }[]> {
      const settings = { comments: 'error', trailingCommas: 'error', schemaRequest: 'error' };
      const found = await service.doValidation(document, json, settings);
      return found.map(({ message, range: { start } }) => ({
        at: text.split('\n')[start.line]?.slice(start.character) ?? '',
        message,
      }));
    },
    /** What is offered where `mark` stands, with its description. */
    async offered(mark: string): Promise<Record<string, string>> {
      const { items } = await service.doComplete(document, placeOf(mark), json);
      return Object.fromEntries(items.map(({ label, documentation }) => [label, wordsOf(documentation)]));
    },
    /** What is shown for the word where `mark` stands. */
    async shown(mark: string): Promise<string> {
      return ((await service.doHover(document, placeOf(mark), json))?.contents ?? []).map(wordsOf).join('\n');
    },
  };
}
