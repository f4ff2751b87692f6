export { ComputeClient, type ExternalOptions } from './external.ts';
export { type CallOptions, type ClientOptions, ComputeHttpError } from './http.ts';
export { InternalClient } from './internal.ts';
export { type TokenOptions, mintToken } from './token.ts';
export type * from './types.ts';
