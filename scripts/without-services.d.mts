export function withoutServices<T>(install: () => T, policy?: string): T;
