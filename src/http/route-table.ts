import type { Method, Route } from './route.ts';

export type Methods<App> = ReadonlyMap<Method, Route<App>>;

/** Finds a route by its whole path; a route with a name of any length in its path, by the parts around that name. */
export class RouteTable<App> {
  readonly #exact = new Map<string, Map<Method, Route<App>>>();
  readonly #around: { before: string; after: string; methods: Map<Method, Route<App>> }[] = [];

  constructor(routes: readonly Route<App>[]) {
    for (const route of routes) this.#methodsOf(route).set(route.method, route);
  }

  /** The routes at a path, by method; undefined for an unknown path. */
  find(path: string): Methods<App> | undefined {
    const exact = this.#exact.get(path);
    if (exact !== undefined) return exact;
    return this.#around.find(
      ({ before, after }) =>
        path.length > before.length + after.length && path.startsWith(before) && path.endsWith(after),
    )?.methods;
  }

  #methodsOf({ path, tail }: Route<App>): Map<Method, Route<App>> {
    const after = tail?.suffix ?? '';
    const known =
      tail === undefined
        ? this.#exact.get(path)
        : this.#around.find((one) => one.before === path && one.after === after)?.methods;
    if (known !== undefined) return known;
    const methods = new Map<Method, Route<App>>();
    if (tail === undefined) this.#exact.set(path, methods);
    else this.#around.push({ before: path, after, methods });
    return methods;
  }
}
