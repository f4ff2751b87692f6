import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LocalRig, localRig, queryLocal } from '../support/local.ts';
import type { Program } from '../support/program.ts';
import { type Browser, type Page, axe, openChromium } from './chromium.ts';

const pictures = fileURLToPath(new URL('../../tmp/dashboard', import.meta.url));
const widths = [360, 800, 1440] as const;
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
  await it.upAndReady(['--replica', '--name', 'second']);
  await queryLocal(started.to, 'create table t as select g, md5(g::text) from generate_series(1, 20000) g');
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
  await expect.poll(() => textOf('main')).toContain('replica, replica');
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

const choose = (name: string): Promise<void> => page.locator(`.tabs input[value="${name}"]`).click();
const confirm = (answer: 'yes' | 'no'): Promise<void> =>
  page.locator(`dialog button[value=${answer}]`).click();

test('an action asks first, and Cancel does nothing', async () => {
  await choose('second');
  await page.locator('[data-action=stop-node]').click();
  expect(await axe(page)).toEqual([]);
  await page.screenshot({ path: join(pictures, 'dialog.png'), fullPage: false });
  await confirm('no');
  await expect.poll(() => page.locator('dialog').count()).toBe(0);
  expect(await textOf('.status')).toBe('');
});

test('a node is stopped', async () => {
  await page.locator('[data-action=stop-node]').click();
  await confirm('yes');
  await expect.poll(() => textOf('.status')).toMatch(/second has stopped\. \([\d.]+ m?s\)/);
  await expect.poll(() => textOf('main')).toContain('stopped');
});

test('a replica is promoted', async () => {
  await choose('replica');
  await page.locator('[data-action=promote]').click();
  await confirm('yes');
  await expect.poll(() => textOf('.status')).toContain('replica is the primary.');
  await expect.poll(() => textOf('main')).toContain('replica (primary) answers');
});

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
