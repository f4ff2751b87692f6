export const lateWithCode: readonly string[];
