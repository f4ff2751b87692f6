import type { Metafile } from 'esbuild';

export interface ThirdParty {
  readonly path: string;
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly text: string;
}
export const allowedLicenses: readonly string[];
export function thirdParties(metafiles: readonly Pick<Metafile, 'outputs'>[], dir?: string): ThirdParty[];
export function licensesFile(
  packages: readonly ThirdParty[],
  others?: readonly { readonly title: string; readonly text: string }[],
): string;
