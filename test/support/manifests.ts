import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDocuments } from './yaml.ts';

export const manifestsDir = fileURLToPath(new URL('../../packaging/kubernetes', import.meta.url));

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly failureThreshold: number;
}

export interface Container {
  readonly image: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly securityContext: Record<string, unknown>;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

export interface Pod {
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: Record<string, unknown> & { readonly runAsUser: number };
  readonly containers: readonly [Container];
  readonly volumes: readonly { readonly name: string; readonly emptyDir?: { readonly medium?: string } }[];
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: Record<string, unknown>;
  readonly [member: string]: unknown;
}

/** Where each is from, from the folder of all. */
export const filesOf = new WeakMap<Manifest, string>();

export function manifests(): Manifest[] {
  return readdirSync(manifestsDir, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) => {
      const found = parseDocuments(readFileSync(join(manifestsDir, file), 'utf8')) as Manifest[];
      for (const one of found) filesOf.set(one, file);
      return found;
    });
}

export const podOf = ({ spec }: Manifest): Pod => (spec['template'] as { spec: Pod }).spec;
