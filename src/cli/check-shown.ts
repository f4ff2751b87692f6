import { messageOf } from '../core/errors.ts';
import { shownConnstr } from '../pg/shown.ts';
import type { Pageserver } from '../spec/resolve.ts';
import type { ComputeSpec, GenericOption } from '../spec/schema.ts';
import { parseGrpcUrl } from '../storage/grpc.ts';

/** A spec with all texts of unknown meaning masked. A `Secret` masks itself. */
export const specJson = (spec: ComputeSpec): unknown => ({
  ...spec,
  cluster: {
    ...spec.cluster,
    settings: spec.cluster.settings?.map(shownOption) ?? null,
    roles: spec.cluster.roles.map(withShownOptions),
    databases: spec.cluster.databases.map(withShownOptions),
  },
});

const withShownOptions = <T extends { readonly options: readonly GenericOption[] | null }>(
  one: T,
): unknown => ({
  ...one,
  options: one.options?.map(shownOption) ?? null,
});

/** Types of settings whose values cannot be a secret. @see https://www.postgresql.org/docs/current/view-pg-settings.html */
const openTypes: readonly string[] = ['bool', 'integer', 'real', 'enum'];
/** Other settings that are not secret: those that this program itself reads. */
const openNames: readonly string[] = [
  'shared_preload_libraries',
  'neon.tenant_id',
  'neon.timeline_id',
  'neon.stripe_size',
  'neon.safekeepers',
  'neon.endpoint_storage_addr',
];

export const shownOption = ({ name, value, vartype }: GenericOption): GenericOption => ({
  name,
  value: value === null || openTypes.includes(vartype) || openNames.includes(name) ? value : '***',
  vartype,
});

/** Without users and passwords. */
export const addresses = ({ id, libpqUrl, grpcUrl }: Pageserver): Pageserver => ({
  id,
  libpqUrl: libpqUrl === null ? null : shownConnstr(libpqUrl),
  grpcUrl: grpcUrl === null ? null : shownGrpc(grpcUrl),
});

function shownGrpc(url: string): string {
  try {
    const { where, tls } = parseGrpcUrl(url);
    return `${tls ? 'grpcs' : 'grpc'}://${where}`;
  } catch (error) {
    return messageOf(error);
  }
}
