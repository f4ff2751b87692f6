import type { ComputeRoute } from './route.ts';
import { extensionServer } from './extension-server.ts';
import { extensions } from './extensions.ts';
import { failpoints } from './failpoints.ts';
import { grants } from './grants.ts';
import { refreshConfiguration } from './refresh-configuration.ts';

/** The server for the programs beside this one: nobody needs a token, so only the loopback may reach it. */
export const internalRoutes: readonly ComputeRoute[] = [
  extensionServer,
  extensions,
  grants,
  refreshConfiguration,
];

/** Served beside them only where the command line asks for it. */
export const testRoutes: readonly ComputeRoute[] = [failpoints];
