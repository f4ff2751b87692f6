import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LocalRig, localRig, queryLocal } from '../support/local.ts';
import type { Program } from '../support/program.ts';
import { type Browser, type Page, axe, openChromium } from './chromium.ts';

const pictures = fileURLToPath(new URL('../../tmp/dashboard', import.meta.url));
const widths = [320, 768, 1280] as const;
/** Whoever may create roles, databases and log lines may choose this; a page that takes it for HTML would run it. */
const hostile = '<img src=x onerror="window.hacked=1">';
const second = 'constructor';
const slowly = { timeout: 60_000, interval: 200 };
const schemes = ['light', 'dark'] as const;

let it: LocalRig;
let up: Program;
let browser: Browser | undefined;
let page: Page;
/** What the browser has complained about. */
const complaints: string[] = [];

beforeAll(async () => {
  mkdirSync(pictures, { recursive: true });
  it = localRig();
  const started = await it.upAndReady();
  up = started.program;
  await it.upAndReady(['--replica']);
  await queryLocal(started.to, 'create table t as select g, md5(g::text) from generate_series(1, 20000) g');
  const quoted = `"${hostile.replaceAll('"', '""')}"`;
  for (const sql of [
    `create role ${quoted}`,
    `create database ${quoted}`,
    `do $$ begin raise warning '${hostile}'; end $$`,
  ])
    await it.command('psql', '--admin', '-c', sql);
  browser = await openChromium();
  page = await browser.newPage();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error.stack)));
  const { stdout } = await it.command('dashboard');
  await page.goto(stdout.trim());
  await page.waitForSelector('.pill.running');
  await page.waitForSelector('.start');
  // There are figures from before, without it; and every object has something of that name.
  await it.upAndReady(['--replica', '--name', second]);
});
afterAll(async () => {
  await browser?.close();
  await it.command('stop');
  await it.clean();
}, 120_000);

const textOf = async (selector: string): Promise<string> =>
  (await page.locator(selector).textContent()) ?? '';

test('the token is no longer in the address, and nobody else can read the cookie', async () => {
  expect(await page.evaluate<string>('String(location)')).not.toContain('token');
  expect(await page.evaluate<string>('document.cookie')).toBe('');
});

test('it can be used with the keyboard alone', async () => {
  await page.evaluate('document.body.focus()');
  await page.keyboard.press('Tab');
  const focused = '(document.activeElement.textContent || document.activeElement.value)';
  expect(await page.evaluate<string>(focused)).toBe('Go to the content');
  await page.keyboard.press('Tab');
  expect(await page.evaluate<string>(focused)).toBe('Stop everything');
  await page.keyboard.press('Tab');
  expect(await page.evaluate<string>('document.activeElement.value')).toBe('main');
  await page.keyboard.press('ArrowRight');
  // Either may be the next one by now.
  await expect.poll(() => textOf('main')).toMatch(/(?:replica|constructor), replica/);
  await page.keyboard.press('ArrowLeft');
  await expect.poll(() => textOf('main')).toContain('main, primary');
});

const choose = (name: string): Promise<void> => page.locator(`.tabs input[value="${name}"]`).click();
const confirm = (answer: 'yes' | 'no'): Promise<void> =>
  page.locator(`dialog button[value=${answer}]`).click();

const act = (action: string, about: string): Promise<void> =>
  page.locator(`main section [data-action=${action}][data-about="${about}"]`).click();
const said = (): Promise<string> => textOf('main > .status');
const card = (title: string): string => `section:has(h2:text-is("${title}"))`;
const stateOf = (name: string): Promise<string> => textOf(`[data-compute=${name}] > .node .pill`);
const writeDesired = (text: string): void => writeFileSync(join(it.dir, 'compute.json'), text);

test('names of roles and databases, and log lines, are shown as they are', async () => {
  await expect.poll(() => textOf(card('Roles and databases')), slowly).toContain(hostile);
  await expect.poll(() => textOf('.log'), slowly).toContain(hostile);
});

test('without a compute.json the plan says how to get one, and a fault is shown with its path', async () => {
  await expect.poll(() => textOf(card('Pending plan')), slowly).toContain('compute-local init');
  writeDesired(JSON.stringify({ settings: { port: 1, [hostile]: 1 } }));
  await expect.poll(() => textOf(card('Pending plan')), slowly).toContain('settings.port');
  expect(await textOf(card('Pending plan'))).toContain('<img src=x');
  await page.screenshot({ path: join(pictures, 'fault.png'), fullPage: true });
});

test('the plan is applied after it was shown once more', async () => {
  writeDesired(
    JSON.stringify({
      roles: [{ name: 'ann' }],
      databases: [{ name: 'shop <b>', owner: 'ann' }],
      settings: { work_mem: '8MB', track_activity_query_size: 4096 },
    }),
  );
  await expect.poll(() => textOf(card('Pending plan')), slowly).toContain('4 changes');
  expect(await textOf(card('Pending plan'))).toContain('Compared with the Postgres that runs');
  await act('apply', 'main');
  expect(await textOf('dialog')).toContain('+ database "shop <b>"');
  expect(await axe(page)).toEqual([]);
  await page.screenshot({ path: join(pictures, 'apply.png'), fullPage: false });
  await confirm('yes');
  await expect.poll(said, slowly).toMatch(/role "ann": applied[^]*waits for a restart/);
  await expect.poll(() => textOf(card('Roles and databases')), slowly).toContain('shop <b>');
  await expect.poll(() => textOf(card('Pending plan')), slowly).toContain('takes effect at the next start');
});

test('what compute.json no longer names is dropped once that is written', async () => {
  writeDesired(JSON.stringify({ roles: [{ name: 'ann' }], settings: { track_activity_query_size: 4096 } }));
  await expect.poll(() => textOf(card('Pending plan')), slowly).toContain('No longer in compute.json');
  await act('prune', '');
  expect(await textOf('dialog')).toContain('- database "shop <b>"');
  await page.locator('#field-confirm').fill('yes');
  await confirm('yes');
  await expect.poll(() => textOf('#field-confirm-problem'), slowly).toContain('Expected the word drop');
  expect(await axe(page)).toEqual([]);
  await page.screenshot({ path: join(pictures, 'prune.png'), fullPage: false });
  await page.locator('#field-confirm').fill('drop');
  await page.keyboard.press('Enter');
  await expect.poll(said, slowly).toContain('- database "shop <b>": dropped');
  await expect.poll(() => textOf(card('Roles and databases')), slowly).not.toContain('shop <b>');
  // The button is gone: the focus stays near.
  await expect.poll(() => page.evaluate<string>('document.activeElement.tagName')).not.toBe('BODY');
});

test('a branch that cannot be is refused at its fields, and one that can is created and started', async () => {
  await act('branch', 'main');
  await page.locator('#field-name').fill(hostile);
  await page.locator('#field-at').fill('soon');
  await page.locator('#field-ttl').fill('never');
  await confirm('yes');
  await expect.poll(() => textOf('#field-name-problem'), slowly).toContain('cannot be a name');
  expect(await textOf('#field-at-problem')).toContain('is not a point in the history');
  expect(await textOf('#field-ttl-problem')).toContain('Expected a time');
  expect(await page.locator('#field-name').getAttribute('aria-invalid')).toBe('true');
  expect(await page.evaluate<string>('document.activeElement.id')).toBe('field-name');
  expect(await axe(page)).toEqual([]);
  await page.screenshot({ path: join(pictures, 'branch.png'), fullPage: false });
  await page.locator('#field-name').fill('dev');
  await page.locator('#field-at').fill('');
  await page.locator('#field-ttl').fill('2h');
  await page.keyboard.press('Enter');
  await expect
    .poll(said, slowly)
    .toMatch(/Branched dev from main at [\dA-F]+\/[\dA-F]+\. It runs on port \d+.*\([\d.]+ m?s\)/);
  await expect.poll(() => stateOf('dev'), slowly).toBe('running');
  const text = await textOf('[data-compute=main] [data-compute=dev]');
  for (const part of ['Branched from', 'main at', 'Is deleted', 'Restorable', 'postgresql://app@127.0.0.1:'])
    expect(text).toContain(part);
});

test('a branch sleeps, wakes, stops and starts, and has a branch of its own', async () => {
  for (const [action, outcome, state] of [
    ['sleep', 'dev sleeps.', 'asleep'],
    ['wake', 'dev is awake. (', 'running'],
    ['stop-branch', 'dev has stopped.', 'stopped'],
    ['start', 'dev runs on port', 'running'],
  ] as const) {
    await act(action, 'dev');
    await confirm('yes');
    await expect.poll(said, slowly).toContain(outcome);
    await expect.poll(() => stateOf('dev'), slowly).toBe(state);
  }
  await act('branch', 'dev');
  expect(await page.evaluate<string>(`document.querySelector('#field-from').value`)).toBe('dev');
  await page.locator('#field-name').fill('deep');
  await confirm('yes');
  await expect.poll(() => stateOf('deep'), slowly).toBe('running');
  expect(await page.locator('[data-compute=dev] [data-compute=deep]').count()).toBe(1);
});

test('main sleeps and wakes: the charts are hatched, and the plan is compared with the last apply', async () => {
  await act('sleep', 'main');
  await confirm('yes');
  await expect.poll(said, slowly).toContain('main sleeps.');
  await expect.poll(() => stateOf('main'), slowly).toBe('asleep');
  // Its button is gone, and the focus is on the one in its place.
  await expect
    .poll(() => page.evaluate<string>('document.activeElement.getAttribute("aria-label")'), slowly)
    .toBe('Wake main');
  await expect
    .poll(() => textOf(card('Pending plan')), slowly)
    .toContain('Compared with what was applied last');
  for (const title of ['Sessions', 'Transactions per second', 'WAL written']) {
    const chart = `${card(title)} [role=img]`;
    await expect.poll(() => page.locator(chart).getAttribute('aria-label'), slowly).toContain('asleep since');
    expect(await textOf(`${card(title)} tbody tr:first-child`)).toContain('asleep');
  }
  expect(await textOf(card('Roles and databases'))).toContain(hostile);
  expect(await textOf(card('Downtimes'))).not.toContain('stopped');
  await page.screenshot({ path: join(pictures, 'asleep.png'), fullPage: true });
  await act('wake', 'main');
  await confirm('yes');
  await expect.poll(said, slowly).toMatch(/main is awake\. \([\d.]+ m?s\)/);
  await expect.poll(() => stateOf('main'), slowly).toBe('running');
});

for (const width of widths)
  for (const scheme of schemes)
    test(`at ${width} pixels, ${scheme}, axe finds nothing and nothing is cut off`, async () => {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme: scheme });
      await page.evaluate(`document.querySelectorAll('details').forEach((one) => { one.open = false; })`);
      await page.screenshot({ path: join(pictures, `${width}-${scheme}.png`), fullPage: true });
      const { scrollWidth, clientWidth } = await page.evaluate<Record<string, number>>(
        '({ scrollWidth: document.documentElement.scrollWidth, clientWidth: document.documentElement.clientWidth })',
      );
      expect(scrollWidth).toBe(clientWidth);
      await page.evaluate(`document.querySelectorAll('details').forEach((one) => { one.open = true; })`);
      expect(await axe(page)).toEqual([]);
    });

test('every chart has its figures in a table', async () => {
  for (const title of ['Sessions', 'Transactions per second', 'WAL written'])
    expect(await textOf(`details:has(summary:text("${title} as a table")) tbody`)).toMatch(/\d/);
});

test('the log can be filtered', async () => {
  expect(await textOf('.log')).toContain('compute start finished');
  await page.locator('#search').click();
  for (const key of 'PANIC') await page.keyboard.press(key);
  await expect.poll(() => textOf('.log')).toBe('');
});

test('an action asks first, and Cancel does nothing', async () => {
  await choose(second);
  await act('stop-node', second);
  expect(await axe(page)).toEqual([]);
  await page.screenshot({ path: join(pictures, 'dialog.png'), fullPage: false });
  await confirm('no');
  await expect.poll(() => page.locator('dialog').count()).toBe(0);
  expect(await said()).not.toContain(second);
});

test('a node is stopped', async () => {
  await page.locator('[data-action=stop-node]').click();
  await confirm('yes');
  await expect.poll(said).toMatch(/constructor has stopped\. \([\d.]+ m?s\)/);
  await expect.poll(() => textOf('main')).toContain('stopped');
});

test('a replica is promoted', async () => {
  await choose('replica');
  await page.locator('[data-action=promote]').click();
  await confirm('yes');
  await expect.poll(said).toContain('replica is the primary.');
  await expect.poll(() => textOf('main')).toContain('replica (primary) answers');
});

test('whatever names, messages and files have in them is text', async () => {
  expect(await page.evaluate<unknown>('[typeof window.hacked, document.images.length]')).toEqual([
    'undefined',
    0,
  ]);
});

test('a page to which nothing comes showed what was so before as if it were now', async () => {
  process.kill(up.child.pid as number, 'SIGSTOP');
  try {
    await expect.poll(() => textOf('.banner'), slowly).toContain('Nothing has come from compute-local up');
    expect(await textOf('.banner')).toContain(
      `compute-local status --dir ${it.dir}. What is below was so at`,
    );
    expect(await textOf('header .pill')).toBe('not known');
    await page.screenshot({ path: join(pictures, 'silent.png'), fullPage: false });
    expect(await axe(page)).toEqual([]);
  } finally {
    process.kill(up.child.pid as number, 'SIGCONT');
  }
  await expect.poll(() => textOf('.banner'), slowly).toBe('');
}, 120_000);

test('everything is stopped, and the page says how to start it again', async () => {
  await page.locator('[data-action=stop]').click();
  await confirm('yes');
  expect(await up.exited()).toBe(0);
  await expect.poll(() => textOf('.banner')).toContain('compute-local up');
  await page.screenshot({ path: join(pictures, 'stopped.png'), fullPage: true });
  expect(await axe(page)).toEqual([]);
});

test('the browser has complained about nothing', () => {
  expect(complaints).toEqual([]);
});
