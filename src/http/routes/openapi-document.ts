import json from '../../../docs/reference/openapi.json' with { type: 'json' };

/** In a file of its own, which most starts never read: a bundle of the JSON alone would export nothing. */
export const document: Readonly<Record<string, unknown>> = json;
