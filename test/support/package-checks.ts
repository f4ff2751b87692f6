import { createRequire } from 'node:module';

/** What is installed in test/package-checks; apart, so its types are not at hand. */
const load = createRequire(new URL('../package-checks/package.json', import.meta.url));

interface CycloneDx {
  readonly Validation: {
    readonly JsonStrictValidator: new (version: string) => { validate(text: string): Promise<unknown> };
  };
}

/** What is wrong with a bill of materials by the schema of CycloneDX; null: nothing. */
export async function wrongInBom(text: string): Promise<unknown> {
  const { Validation } = load('@cyclonedx/cyclonedx-library') as CycloneDx;
  return new Validation.JsonStrictValidator('1.6').validate(text);
}

interface Publint {
  readonly publint: (options: object) => Promise<{ readonly messages: readonly { readonly code: string }[] }>;
}

/** The codes of what publint does not like about a package. */
export async function publintSays(pkgDir: string): Promise<string[]> {
  const { publint } = (await import(load.resolve('publint'))) as Publint;
  const { messages } = await publint({ pkgDir, strict: true, pack: false });
  return messages.map(({ code }) => code);
}

export interface Bom {
  readonly metadata: { readonly component: { readonly name: string } };
  readonly components: readonly {
    readonly name: string;
    readonly version: string;
    readonly licenses: readonly { readonly license: { readonly id: string } }[];
    readonly components?: readonly { readonly name: string; readonly version: string }[];
  }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
}
