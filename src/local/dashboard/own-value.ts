/** The value of a record by a name that somebody else has chosen: also `constructor` is one. */
export const ownValue = <T>(of: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(of, name) ? of[name] : undefined;
