import type { Route } from './route.ts';
import { extensionServer } from './routes/extension-server.ts';
import { extensions } from './routes/extensions.ts';
import { failpoints } from './routes/failpoints.ts';
import { grants } from './routes/grants.ts';
import { refreshConfiguration } from './routes/refresh-configuration.ts';

/** The server for the programs beside this one: nobody needs a token, so only the loopback may reach it. */
export const internalRoutes: readonly Route[] = [extensionServer, extensions, grants, refreshConfiguration];

/** Served beside them only where the command line asks for it. */
export const testRoutes: readonly Route[] = [failpoints];
