import type { Phase } from './phase.ts';
import { databases } from './phases/databases.ts';
import { passwords } from './phases/passwords.ts';
import { preconditions } from './phases/preconditions.ts';
import { privilegedRole } from './phases/privileged-role.ts';
import { roles } from './phases/roles.ts';

/** Every phase, in the order in which its statements run. */
export const phases: readonly Phase[] = [preconditions, privilegedRole, roles, passwords, databases];
