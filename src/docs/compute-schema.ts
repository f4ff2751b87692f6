import { desiredSchema } from '../local/desired/schema.ts';
import { jsonSchema } from './json-schema.ts';

/** The JSON Schema of compute.json, which `compute-local init` writes beside the file. Draft 7, which all editors know, and which
 *  means the same here. */
export const computeSchema = (): string =>
  `${JSON.stringify(
    {
      $schema: 'http://json-schema.org/draft-07/schema#',
      title: 'compute.json of compute-local',
      // Read by VS Code and what builds on its JSON support.
      allowComments: true,
      allowTrailingCommas: true,
      ...jsonSchema(desiredSchema),
    },
    null,
    2,
  )}\n`;
