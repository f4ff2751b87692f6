import { computeSchema } from './compute-schema.ts';
import { cliPage } from './cli-page.ts';
import { renderMetricsReference } from '../metrics/reference.ts';
import { httpPage } from './http-page.ts';
import { openApiPage } from './openapi.ts';
import { errorsPage } from './errors-page.ts';
import { specPage } from './spec-page.ts';
import { statusPage } from './status-page.ts';

export interface Page {
  /** Path from the repository's root. */
  readonly file: string;
  readonly render: () => string;
}

/** Every page that is generated from the sources. Add a line for a new one. `npm run docs` also generates the client's
 *  types, from the OpenAPI document. */
export const pages: readonly Page[] = [
  { file: 'docs/reference/cli.md', render: cliPage },
  { file: 'docs/reference/spec.md', render: specPage },
  { file: 'docs/reference/errors.md', render: errorsPage },
  { file: 'docs/reference/status.md', render: statusPage },
  { file: 'docs/reference/metrics.md', render: renderMetricsReference },
  { file: 'docs/reference/http.md', render: httpPage },
  { file: 'docs/reference/openapi.json', render: openApiPage },
  { file: 'docs/reference/compute.schema.json', render: computeSchema },
];
