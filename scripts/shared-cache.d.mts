export const testCache: string;
export function joinCache(dir: string, isTemporary: boolean): () => void;
