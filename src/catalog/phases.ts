import type { Phase } from './phase.ts';
import { audit } from './phases/audit.ts';
import { databases } from './phases/databases.ts';
import { deleteRoleReferences } from './phases/delete-role-references.ts';
import { dropInvalidDatabases } from './phases/drop-invalid-databases.ts';
import { dropRoles } from './phases/drop-roles.ts';
import { dropSubscriptionsOfDeleted } from './phases/drop-subscriptions-of-deleted.ts';
import { dropSubscriptions } from './phases/drop-subscriptions.ts';
import { extensions } from './phases/extensions.ts';
import { lakebase } from './phases/lakebase.ts';
import { neonExtension } from './phases/neon-extension.ts';
import { neonSchema } from './phases/neon-schema.ts';
import { passwords } from './phases/passwords.ts';
import { preconditions } from './phases/preconditions.ts';
import { privilegedRole } from './phases/privileged-role.ts';
import { recordOperation } from './phases/record-operation.ts';
import { renameAndDeleteDatabases } from './phases/rename-and-delete-databases.ts';
import { renameRoles } from './phases/rename-roles.ts';
import { roles } from './phases/roles.ts';
import { schemaPermissions } from './phases/schema-permissions.ts';

/** Every phase, in the order in which its statements run. */
export const phases: readonly Phase[] = [
  preconditions,
  dropSubscriptionsOfDeleted,
  privilegedRole,
  dropInvalidDatabases,
  renameRoles,
  roles,
  passwords,
  renameAndDeleteDatabases,
  databases,
  neonSchema,
  deleteRoleReferences,
  schemaPermissions,
  dropSubscriptions,
  extensions,
  neonExtension,
  dropRoles,
  lakebase,
  recordOperation,
  audit,
];
