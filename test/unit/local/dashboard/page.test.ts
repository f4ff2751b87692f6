import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { dashboardPage, mostBytes } from '../../../../scripts/dashboard-page.mjs';

const insideOf = (html: string, tag: string): string[] =>
  [...html.matchAll(new RegExp(`<${tag}>([^]*?)</${tag}>`, 'g'))].map(([, text = '']) => text);

test('the policy allows the script and the style of the page, and there are no others', async () => {
  const { html, policy } = await dashboardPage();
  for (const tag of ['script', 'style']) {
    const [text = '', ...more] = insideOf(html, tag);
    expect(more).toEqual([]);
    expect(text.length).toBeGreaterThan(1000);
    expect(policy).toContain(`${tag}-src 'sha256-${createHash('sha256').update(text).digest('base64')}'`);
  }
  expect(html.match(/<(?:script|style)\b/g)).toHaveLength(2);
});

test('the page is small, and names no other server', async () => {
  const { html } = await dashboardPage();
  expect(Buffer.byteLength(html)).toBeLessThan(mostBytes);
  const urls = html.match(/\b(?:https?:)?\/\/[a-z][\w.-]+\.[a-z]+[\w/.]*/gi) ?? [];
  expect(urls.filter((url) => !url.startsWith('http://www.w3.org/'))).toEqual([]);
});
