const maxBytes = 1024 * 1024;

/** Gets JSON, of 1 MiB at most: another program may have taken the port of ours.
 *  @throws Error for every status but 2xx; TypeError when there is no connection */
export async function getLimitedJson(url: string, token: string, signal: AbortSignal): Promise<unknown> {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(url, { headers, signal, redirect: 'error' });
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
