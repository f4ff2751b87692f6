import { request } from 'node:http';

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface Given {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Reads a stream until this is true of what has come. */
  readonly until?: (text: string) => boolean;
}

/** One request on a connection of its own: unlike `fetch`, it sends the headers Host and Origin as they are given. */
export const ask = (url: string, { method = 'GET', headers = {}, body, until }: Given = {}): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (reply) => {
      let text = '';
      const finish = (): void =>
        resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: text });
      reply.on('error', () => {});
      reply.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (until?.(text) !== true) return;
        finish();
        reply.destroy();
      });
      reply.on('end', finish);
    });
    sent.on('error', reject);
    sent.end(body);
  });

export interface OpenDashboard {
  /** Of the page; all others are below it. */
  readonly page: string;
  readonly cookie: string;
}

/** Exchanges the token of a link, as a browser does. */
export async function openDashboard(link: string): Promise<OpenDashboard> {
  const { status, headers } = await ask(link);
  const [cookie = ''] = headers['set-cookie'] ?? [];
  if (status !== 303 || typeof headers['location'] !== 'string')
    throw new Error(`${link} was answered with ${status}`);
  return { page: new URL(headers['location'], link).href, cookie: cookie.split(';')[0] ?? '' };
}
