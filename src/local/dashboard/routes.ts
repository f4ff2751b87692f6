import type { IncomingHttpHeaders } from 'node:http';
import * as v from 'valibot';
import { hintOf, inline } from '../../core/errors.ts';
import { elapsedMs, monotonicMs } from '../../core/clock.ts';
import type { Secret } from '../../core/secret.ts';
import { Answer, empty, failure, json, text } from '../../http/answer.ts';
import { type Route, nothing } from '../../http/route.ts';
import type { Given } from './actions.ts';
import { FieldProblems } from './field-problems.ts';
import type { Hub } from './hub.ts';
import { linkUrl, linksPath, sleepPath } from './link.ts';
import type { Outcome } from './model.ts';
import { type Sessions, setCookie } from './sessions.ts';

export interface Page {
  readonly html: string;
  /** The part of the content security policy that names its script and its style. */
  readonly policy: string;
}

/** What every answer allows, and the page beside its own. */
export const policyOf = (own = ''): string =>
  `default-src 'none'; ${own}base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** The script of the page cannot make elements, scripts or handlers of text. */
const noMarkup = "require-trusted-types-for 'script'; trusted-types 'none'; ";

/** Passed to the routes. */
export interface Dashboard {
  readonly sessions: Sessions;
  readonly hub: Hub;
  readonly linkSecret: Secret;
  readonly page: () => Promise<Page>;
  readonly port: () => number;
  /** @returns what was done, and how long that alone took @throws ComputeError */
  readonly act: (given: Given) => Promise<{ readonly message: string; readonly ms: number }>;
  /** Lets the main compute sleep at once. @throws ComputeError `conflict` with what keeps it awake */
  readonly sleep: (signal: AbortSignal) => Promise<void>;
}

const quiet = { auth: 'none', reply: nothing, errors: [], quiet: true } as const;
const html = 'text/html; charset=utf-8';

/** Longer than a stop of Postgres may take. */
const actionMs = 300_000;

const entry: Route<Dashboard, { token?: string | undefined }> = {
  ...quiet,
  method: 'GET',
  path: '/',
  summary: 'Exchanges the token of a link for a session.',
  query: v.object({ token: v.optional(v.string()) }),
  handler({ query: { token }, headers, isHead }, { sessions }) {
    if (isHead) return text(200, '', html);
    if (isAhead(headers)) return failure(503, 'a link is opened when somebody asks for it, and not before');
    const session = token === undefined ? null : sessions.exchange(token);
    if (session === null) return text(401, needsLink(token !== undefined), html);
    // The address no longer has the token.
    return empty(303, { location: `/s/${session.id}/`, 'set-cookie': setCookie(session) });
  },
};

/** A browser fetches it before anybody has asked for it. */
const isAhead = (headers: IncomingHttpHeaders): boolean =>
  ['sec-purpose', 'purpose', 'x-moz'].some((name) => String(headers[name] ?? '').includes('prefetch'));

const below = { name: 'session', doc: 'The id of the session and what is asked for.' };

const pages: Route<Dashboard> = {
  ...quiet,
  method: 'GET',
  path: '/s/',
  tail: below,
  summary: 'The page, and what it is sent.',
  async handler({ tail, headers, isHead }, { sessions, hub, page }) {
    const [, id = '', what] = /^([^/]*)\/(|events)$/.exec(tail) ?? [];
    if (what === undefined) return empty(404);
    const session = sessions.find(id, headers.cookie, !isHead);
    if (session === null)
      return what === '' ? text(401, needsLink(true), html) : failure(401, 'there is no such session');
    if (what === '') {
      const shown = await page();
      const policy = policyOf(`${shown.policy}; connect-src 'self'; img-src data:; ${noMarkup}`);
      return new Answer(200, shown.html, { 'content-type': html, 'content-security-policy': policy });
    }
    const lastId = headers['last-event-id'];
    const stream = hub.open(session, typeof lastId === 'string' ? lastId : undefined);
    if (stream === null) return failure(503, 'too many pages are open');
    return new Answer(200, stream, { 'content-type': 'text/event-stream' });
  },
};

const asked = v.object({
  action: v.string(),
  target: v.string(),
  fields: v.optional(v.record(v.string(), v.pipe(v.string(), v.maxLength(1000)))),
});

const actions: Route<Dashboard, undefined, v.InferOutput<typeof asked>> = {
  ...quiet,
  method: 'POST',
  path: '/s/',
  tail: below,
  summary: 'Does something.',
  body: asked,
  limitMs: actionMs,
  goesOn: true,
  async handler({ tail, headers, body }, { sessions, act }) {
    const [, id] = /^([^/]*)\/actions$/.exec(tail) ?? [];
    if (id === undefined) return empty(404);
    if (sessions.find(id, headers.cookie) === null) return failure(401, 'there is no such session');
    // Browsers send it with every POST; that it is ours was checked before.
    if (headers.origin === undefined) return failure(403, 'the header Origin is missing');
    const startMs = monotonicMs();
    const outcome = await act(body).then(
      ({ message, ms }): Outcome => ({ ok: true, message, hint: null, ms, problems: [] }),
      (error: unknown): Outcome => failed(error, elapsedMs(startMs)),
    );
    // Also what was refused is the answer to what was asked; a browser would report another status as an error of the page.
    return json(200, outcome);
  },
};

const failed = (error: unknown, ms: number): Outcome => ({
  ok: false,
  message: inline(error),
  hint: hintOf(error),
  ms,
  problems: error instanceof FieldProblems ? error.problems : [],
});

const isCommand = ({ authorization = '' }: IncomingHttpHeaders, { linkSecret }: Dashboard): boolean =>
  linkSecret.matches(/^bearer +(.+)$/i.exec(authorization)?.[1] ?? '');

const wrongToken = (): Answer => failure(401, 'the bearer token is wrong');

const links: Route<Dashboard> = {
  ...quiet,
  method: 'POST',
  path: linksPath,
  summary: 'A new link, for the command `dashboard`.',
  handler({ headers }, app) {
    if (!isCommand(headers, app)) return wrongToken();
    return json(201, { url: linkUrl(app.port(), app.sessions.link()) });
  },
};

const sleep: Route<Dashboard> = {
  ...quiet,
  method: 'POST',
  path: sleepPath,
  summary: 'Lets the compute sleep, for the page of the directory that this one is a branch in.',
  limitMs: actionMs,
  async handler({ headers, signal }, app) {
    if (!isCommand(headers, app)) return wrongToken();
    return app.sleep(signal).then(
      () => json(200, {}),
      (error: unknown) => json(409, { error: inline(error), hint: hintOf(error) }),
    );
  },
};

export const routes: readonly Route<Dashboard>[] = [entry, pages, actions, links, sleep];

/** For people who come without a session. */
function needsLink(had: boolean): string {
  const why = had
    ? 'This link was used already or is older than an hour, or its session has ended.'
    : 'The dashboard opens with a link only.';
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>compute-local</title><h1>compute-local</h1><p>${why}</p><p>Get a new link with: <code>compute-local dashboard</code></p></html>`;
}
