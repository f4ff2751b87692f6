const maxBytes = 1024 * 1024;

/** Gets JSON, of 1 MiB at most: another program may have taken the port of ours.
 *  @param body is posted as JSON; nothing: a GET
 *  @throws Error for every status but 2xx; TypeError when there is no connection */
export async function getLimitedJson(
  url: string,
  token: string,
  signal: AbortSignal,
  body?: unknown,
): Promise<unknown> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const post = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  const response = await fetch(url, { headers, signal, redirect: 'error', ...post });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`the answer of ${url} has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  if (!response.ok)
    throw new Error(`${url} answered with status ${response.status}: another program may use the port`);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}
