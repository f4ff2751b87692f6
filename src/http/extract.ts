import type { IncomingMessage } from 'node:http';
import * as v from 'valibot';
import { ComputeError, type ErrorCode } from '../core/errors.ts';
import { JsonSyntaxError, type JsonText, parseJson } from '../spec/json.ts';
import { showPath } from '../spec/path.ts';
import { expectedBy, schemaAt } from '../spec/walk.ts';
import type { Route, Schema } from './route.ts';

export const bodyLimitBytes = 2_097_152;

/** The request itself cannot be read. Nothing was done for it, and it gets no error line in the log. */
export class UnreadableRequest extends ComputeError {}

const refuse = (code: ErrorCode, message: string, cause?: unknown): never => {
  throw new UnreadableRequest(code, message, { cause });
};

/** Reads the query of a request, which begins with its question mark or is empty.
 *  @throws UnreadableRequest `bad_request` for a missing, bad or repeated value; unknown keys are ignored */
export function readQuery(route: Route, text: string): unknown {
  const { query: schema, withoutQuery } = route;
  if (schema === undefined) return undefined;
  if (text === '' && withoutQuery !== undefined) return withoutQuery;
  const found: Record<string, string> = {};
  for (const [key, value] of new URLSearchParams(text)) {
    if (!Object.hasOwn(schema.entries, key)) continue;
    if (Object.hasOwn(found, key)) badQuery(`duplicate field \`${key}\``);
    found[key] = value;
  }
  const read = v.safeParse(schema, found);
  return read.success
    ? read.output
    : badQuery(read.issues.map((issue) => describe(schema, issue)).join('; '));
}

const badQuery = (why: string): never => refuse('bad_request', `failed to deserialize query string: ${why}`);

/** Decodes the name that follows the path of the route.
 *  @throws UnreadableRequest `bad_request` for what is not UTF-8 behind its percent signs */
export function readTail(route: Route, path: string): string {
  if (route.tail === undefined) return '';
  const end = path.length - (route.tail.suffix?.length ?? 0);
  try {
    return decodeURIComponent(path.slice(route.path.length, end));
  } catch {
    return refuse('bad_request', `invalid utf-8 in \`${route.tail.name}\``);
  }
}

/** Reads a JSON body.
 *  @throws UnreadableRequest `unsupported_media`, `payload_too_large`, `bad_request` (not JSON) or `spec_shape` */
export async function readBody(route: Route, incoming: IncomingMessage): Promise<unknown> {
  const { body: schema } = route;
  if (schema === undefined) return undefined;
  if (!isJson(incoming.headers['content-type'] ?? '')) {
    refuse('unsupported_media', 'expected request with `content-type: application/json`');
  }
  const { value, duplicates } = await decode(await collect(incoming));
  if (duplicates.length > 0) badShape(duplicates.map((path) => `${showPath(path)}: given twice`));
  if (route.checkedByApp === true) return value;
  const read = v.safeParse(schema, value);
  return read.success ? read.output : badShape(read.issues.map((issue) => describe(schema, issue)));
}

const badShape = (problems: readonly string[]): never => refuse('spec_shape', problems.join('; '));

const isJson = (contentType: string): boolean =>
  /^application\/(?:[\w!#$&^.+-]+\+)?json$/i.test((contentType.split(';', 1)[0] ?? '').trim());

const tooLarge = 'failed to buffer the request body: length limit exceeded';

function collect(incoming: IncomingMessage): Promise<Buffer> {
  if (Number(incoming.headers['content-length'] ?? 0) > bodyLimitBytes) {
    return Promise.reject(new UnreadableRequest('payload_too_large', tooLarge));
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (how: () => void): void => {
      incoming.off('data', onData).off('end', onEnd).off('close', onClose);
      how();
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= bodyLimitBytes) return;
      settle(() => reject(new UnreadableRequest('payload_too_large', tooLarge)));
    };
    const onEnd = (): void => settle(() => resolve(Buffer.concat(chunks)));
    const onClose = (): void => settle(() => reject(broken(incoming.errored ?? undefined)));
    // 'error' may come after the listeners above are gone, and must never be without one.
    incoming.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}

const broken = (cause?: Error): UnreadableRequest =>
  new UnreadableRequest(
    'bad_request',
    'failed to buffer the request body: the connection ended before its end',
    {
      cause,
    },
  );

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

async function decode(bytes: Buffer): Promise<JsonText> {
  try {
    return await parseJson(utf8.decode(bytes));
  } catch (error) {
    // Other errors' messages may quote the body, which may contain secrets.
    const why = error instanceof JsonSyntaxError ? error.message : 'it is not UTF-8';
    return refuse('bad_request', `failed to parse the request body as json: ${why}`);
  }
}

function describe(root: Schema, issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue) ?? '';
  if (issue.input === undefined) return `missing field \`${path}\``;
  const keys = (issue.path ?? []).map(({ key }) => key as string | number);
  const schema = schemaAt(root, keys);
  const expected = schema === undefined ? (issue.expected ?? 'another value') : expectedBy(schema);
  return `${path === '' ? '' : `${path}: `}expected ${expected}`;
}
