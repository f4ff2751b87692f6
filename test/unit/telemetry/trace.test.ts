import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runSteps, step } from '../../../src/lifecycle/steps.ts';
import { trace } from '@opentelemetry/api';
import { contextOf } from '../../../src/telemetry/otlp.ts';
import { headersFromEnv, startTracingIfAsked } from '../../../src/telemetry/start.ts';
import {
  type Attributes,
  type Span,
  type TraceHeaders,
  currentSpan,
  traced,
  useTracer,
} from '../../../src/telemetry/trace.ts';
import { exchange, recorder, withServer } from '../http/support.ts';

interface Seen extends Span {
  readonly name: string;
  readonly parent: string | TraceHeaders | null;
  readonly attributes: Record<string, unknown>;
  ended: unknown;
}

let spans: Seen[];
const nameOf = (parent: Span | TraceHeaders | null) =>
  parent !== null && 'name' in parent ? (parent as Seen).name : (parent as TraceHeaders | null);

beforeEach(() => {
  spans = [];
  useTracer({
    open: (name, kind, given, parent) => {
      const attributes: Record<string, unknown> = { kind, ...given };
      const span: Seen = {
        name,
        parent: nameOf(parent),
        attributes,
        ended: 'open',
        set: (more: Attributes) => void Object.assign(attributes, more),
        end: (error) => void (span.ended = error ?? 'well'),
      };
      spans.push(span);
      return span;
    },
  });
});
afterEach(() => useTracer(null));

test('spans lie below the one they were opened in, also when work overlaps', async () => {
  await traced('outer', {}, () =>
    Promise.all([
      traced('a', {}, () => traced('a1', {}, () => 1)),
      traced('b', {}, async () => currentSpan()),
    ]),
  );
  expect(spans.map(({ name, parent }) => [name, parent])).toEqual([
    ['outer', null],
    ['a', 'outer'],
    ['a1', 'a'],
    ['b', 'outer'],
  ]);
  expect(spans.every(({ ended }) => ended === 'well')).toBe(true);
  expect(currentSpan()).toBeNull();
});

test('what fails ends its span with the reason', async () => {
  const reason = new Error('no');
  await expect(traced('outer', {}, () => Promise.reject(reason))).rejects.toBe(reason);
  expect(spans[0]?.ended).toBe(reason);
});

test('every step of a story is a span', async () => {
  const story = [step('one', () => {}), step('two', () => {})];
  const { log } = recorder();
  const telling = { log, signal: new AbortController().signal, onStep: () => {} };
  await traced('story', {}, () => runSteps(story, {}, telling));
  expect(spans.map(({ name, parent }) => [name, parent])).toEqual([
    ['story', null],
    ['one', 'story'],
    ['two', 'story'],
  ]);
});

test('a request is a span below that of its client, without its query, its headers or its token', () =>
  withServer({}, async ({ send, token, port, app }) => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    app.database.insights = () => traced('sql', {}, () => Promise.resolve('{}'));
    await send('GET', '/insights?secret=1', { headers: { traceparent, tracestate: 'a=b' } });
    await exchange(port, 'GET', '/nothing');
    await exchange(port, 'GET', '/livez');
    const [request, sql, unknown, ...more] = spans;
    expect(request).toMatchObject({
      name: 'HTTP',
      parent: { traceparent, tracestate: 'a=b' },
      ended: 'well',
      attributes: {
        kind: 'server',
        'http.request.method': 'GET',
        'http.route': '/insights',
        'url.path': '/insights',
        'http.response.status_code': 200,
      },
    });
    expect(sql).toMatchObject({ name: 'sql', parent: 'HTTP' });
    expect(unknown?.attributes['http.response.status_code']).toBe(404);
    expect(more).toEqual([]);
    expect(JSON.stringify(spans)).not.toContain(token);
    expect(JSON.stringify(spans)).not.toContain('secret');
  }));

test('an answer of 500 is a failed span', () =>
  withServer({}, async ({ send, app }) => {
    app.database.insights = () => Promise.reject(new Error('no'));
    await send('GET', '/insights');
    expect(String(spans[0]?.ended)).toContain('Internal Server Error');
  }));

test('nothing is traced, and nothing loaded, without a collector or when it is switched off', async () => {
  useTracer(null);
  const { log } = recorder();
  const off = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_SDK_DISABLED: 'true' };
  for (const env of [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: '' }, off]) {
    const end = await startTracingIfAsked(env, log);
    await traced('a', {}, () => {});
    await end();
  }
  expect(spans).toEqual([]);
});

test('a traceparent is taken as the specification says', () => {
  const read = (headers: TraceHeaders) => trace.getSpanContext(contextOf(headers)) ?? null;
  const id = '0af7651916cd43dd8448eb211c80319c';
  const good = { traceId: id, spanId: 'b7ad6b7169203331', traceFlags: 1, isRemote: true };
  expect(read({ traceparent: `00-${id}-b7ad6b7169203331-01` })).toEqual(good);
  expect(read({ traceparent: `01-${id}-b7ad6b7169203331-03-more` })).toEqual({ ...good, traceFlags: 3 });
  const bad = [
    '',
    `ff-${id}-b7ad6b7169203331-01`,
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-${id}-${'0'.repeat(16)}-01`,
    `00-${id}-b7ad6b7169203331-01-more`,
    `00-${id.toUpperCase()}-b7ad6b7169203331-01`,
  ];
  for (const traceparent of bad) expect(read({ traceparent })).toBeNull();
  fc.assert(
    fc.property(fc.string(), fc.string(), (traceparent, tracestate) => {
      expect(read({ traceparent, tracestate })).toBeNull();
    }),
  );
});

test('the environment names the parent', () => {
  expect(headersFromEnv({ TRACEPARENT: 'a', TRACESTATE: 'b' })).toEqual({
    traceparent: 'a',
    tracestate: 'b',
  });
});

test('the packages read the collector, its headers and the resource from the environment; the name of the service is fixed', async () => {
  const seen: { url: string | undefined; key: unknown; body: string }[] = [];
  const take = async (request: IncomingMessage, answer: ServerResponse): Promise<void> => {
    seen.push({ url: request.url, key: request.headers['x-key'], body: await text(request) });
    answer.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  };
  const collector = createServer((request, answer) => void take(request, answer));
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-key=k%201',
    OTEL_RESOURCE_ATTRIBUTES: 'region=eu%20west, az=1',
    OTEL_SERVICE_NAME: 'another',
  };
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  try {
    const end = await startTracingIfAsked(process.env, recorder().log);
    await traced('work', {}, () => {});
    await end();
  } finally {
    vi.unstubAllEnvs();
    collector.close();
  }
  expect(seen).toEqual([{ url: '/v1/traces', key: 'k 1', body: expect.any(String) as string }]);
  const { resourceSpans } = JSON.parse(seen[0]?.body ?? '') as {
    resourceSpans: { resource: { attributes: { key: string; value: { stringValue: string } }[] } }[];
  };
  const attributes = resourceSpans[0]?.resource.attributes.map(({ key, value }) => [key, value.stringValue]);
  expect(new Map(attributes as [string, string][])).toEqual(
    new Map([
      ['region', 'eu west'],
      ['az', '1'],
      ['service.name', 'compute_ctl'],
    ]),
  );
});
