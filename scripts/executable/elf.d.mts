export const machines: { readonly x64: number; readonly arm64: number };
export function machineOf(file: Buffer): number;
export function sectionNames(file: Buffer): string[];
export function inject(program: Buffer, blob: Buffer, unused?: { from: number; to: number }): Buffer;
export function requiredLibraries(file: Buffer): string[];
export function newestRequired(file: Buffer, library: string): number[] | null;
