import type { ComputeRoute } from './route.ts';
import { extensionServer } from './extension-server.ts';
import { extensions } from './extensions.ts';
import { failpoints } from './failpoints.ts';
import { grants } from './grants.ts';
import { refreshConfiguration } from './refresh-configuration.ts';

/** The internal server, for programs on this machine. It requires no token, so only loopback may reach it. */
export const internalRoutes: readonly ComputeRoute[] = [
  extensionServer,
  extensions,
  grants,
  refreshConfiguration,
];

/** Served only when the command line asks for it. */
export const testRoutes: readonly ComputeRoute[] = [failpoints];
