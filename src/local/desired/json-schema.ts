import document from '../../../docs/reference/compute.schema.json' with { type: 'json' };

/** The JSON Schema of compute.json, as a file. */
export const schemaText = (): string => `${JSON.stringify(document, null, 2)}\n`;
