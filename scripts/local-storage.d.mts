export interface LocalJson {
  readonly computeId: string;
  readonly tenantId: string;
  readonly timelineId: string;
  readonly storageToken: string;
  readonly controlPlaneToken: string;
  readonly ports: Readonly<
    Record<
      'postgres' | 'externalHttp' | 'internalHttp' | 'pageserver' | 'safekeeper' | 'controlPlane',
      number
    >
  >;
}
export function lineOf(stream: NodeJS.ReadableStream, wanted: (text: string) => boolean): Promise<string>;
export function holdUsualPorts(): Promise<() => void>;
export function withStorage<T>(
  local: readonly string[],
  dir: string,
  work: (state: LocalJson, postgres: string) => Promise<T>,
  limitMs?: number,
): Promise<T>;
export function controlPlaneOf(state: LocalJson): string;
export function computeOf(
  state: LocalJson,
  dir: string,
  postgres: string,
): { readonly args: readonly string[]; readonly env: NodeJS.ProcessEnv };
