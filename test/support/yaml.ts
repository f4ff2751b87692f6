import { createRequire } from 'node:module';

/** The parser lies with the schemas, in a folder of its own. */
const load = createRequire(new URL('../manifests/package.json', import.meta.url));
const yaml = load('yaml') as {
  parse(text: string): unknown;
  parseAllDocuments(text: string): { errors: Error[]; warnings: Error[]; toJS(): unknown }[];
};

export const parseYaml = (text: string): unknown => yaml.parse(text);

/** @throws for anything that is not quite right, a key that is there twice included */
export const parseDocuments = (text: string): unknown[] =>
  yaml.parseAllDocuments(text).map((document) => {
    const [wrong] = [...document.errors, ...document.warnings];
    if (wrong !== undefined) throw wrong;
    return document.toJS();
  });
