/** What goes back to the client. */
export class Answer {
  readonly status: number;
  readonly body: string | ReadableStream<Uint8Array> | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: Answer['body'], headers: Answer['headers'] = {}) {
    this.status = status;
    this.body = body;
    this.headers = headers;
  }

  toResponse(): Response {
    const { status, body, headers } = this;
    if (body !== null && typeof body !== 'string') return new Response(body, { status, headers });
    // Said here, so that the answer to HEAD says it too and an empty body is not sent in chunks.
    const length = body === null ? 0 : Buffer.byteLength(body);
    return new Response(body, { status, headers: { ...headers, 'content-length': String(length) } });
  }
}

export const json = (status: number, value: unknown): Answer =>
  new Answer(status, JSON.stringify(value), { 'content-type': 'application/json' });

export const text = (status: number, body: string, contentType: string): Answer =>
  new Answer(status, body, { 'content-type': contentType });

export const empty = (status: number, headers: Answer['headers'] = {}): Answer =>
  new Answer(status, null, headers);

/** The one shape of every failure. */
export const failure = (status: number, message: string): Answer => json(status, { error: message });
