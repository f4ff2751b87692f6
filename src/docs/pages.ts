import { cliPage } from './cli-page.ts';
import { renderMetricsReference } from '../metrics/reference.ts';
import { httpPage } from './http-page.ts';
import { openApiPage } from './openapi.ts';
import { errorsPage } from './errors-page.ts';
import { specPage } from './spec-page.ts';

export interface Page {
  /** Path from the root of the repository. */
  readonly file: string;
  readonly render: () => string;
}

/** Every page that is made from the sources. A new one is a line here. `npm run docs` makes the types of the client, too,
 *  from the OpenAPI document. */
export const pages: readonly Page[] = [
  { file: 'docs/reference/cli.md', render: cliPage },
  { file: 'docs/reference/spec.md', render: specPage },
  { file: 'docs/reference/errors.md', render: errorsPage },
  { file: 'docs/reference/metrics.md', render: renderMetricsReference },
  { file: 'docs/reference/http.md', render: httpPage },
  { file: 'docs/reference/openapi.json', render: openApiPage },
];
