export function withoutLanguages(file: Buffer): { from: number; to: number };
export function isLeftOut(name: string): boolean;
