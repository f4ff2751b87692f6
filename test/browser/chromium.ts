import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';

/** What is installed beside this file; apart, so its types are not at hand. */
const load = createRequire(new URL('package.json', import.meta.url));

/** What is used of Playwright's pages. */
export interface Page {
  goto(url: string): Promise<unknown>;
  evaluate<T>(script: string): Promise<T>;
  locator(selector: string): Locator;
  screenshot(options: { path: string; fullPage: boolean }): Promise<unknown>;
  waitForSelector(selector: string): Promise<unknown>;
  on(event: 'console', listener: (message: { type(): string; text(): string }) => void): void;
  on(event: 'pageerror', listener: (error: Error) => void): void;
  readonly keyboard: { press(key: string): Promise<void> };
  setViewportSize(size: { width: number; height: number }): Promise<void>;
  emulateMedia(options: { colorScheme: 'light' | 'dark' }): Promise<void>;
}

interface Locator {
  click(): Promise<void>;
  fill(text: string): Promise<void>;
  selectOption(value: string): Promise<unknown>;
  focus(): Promise<void>;
  textContent(): Promise<string | null>;
  count(): Promise<number>;
  getAttribute(name: string): Promise<string | null>;
}

export interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

interface Playwright {
  readonly chromium: { launch(options: { executablePath: string; args: string[] }): Promise<Browser> };
}

const paths = [process.env['CHROMIUM'] ?? '', '/usr/bin/chromium', '/usr/bin/google-chrome'];

/** @throws Error that says how to get one */
export function openChromium(): Promise<Browser> {
  const executablePath = paths.find((path) => path !== '' && existsSync(path));
  if (executablePath === undefined)
    throw new Error('there is no Chromium: apt-get install chromium, or name one in CHROMIUM');
  // Its sandbox cannot be used by root.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return (load('playwright-core') as Playwright).chromium.launch({ executablePath, args });
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** What axe finds wrong with the page as it is now: the rules of WCAG 2.2 A and AA, and its best practices. */
export async function axe(page: Page): Promise<string[]> {
  const { source } = load('axe-core') as { source: string };
  // Evaluated by the debugger, so that the policy of the page does not matter.
  await page.evaluate(source);
  const { violations } = await page.evaluate<{ violations: Violation[] }>('axe.run()');
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
}
