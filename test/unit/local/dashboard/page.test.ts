import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
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

test('a declaration was there twice: no rule has the declarations of another, or one property twice', () => {
  const css = readFileSync('src/local/dashboard/page/main.css', 'utf8').replaceAll(/\/\*[^]*?\*\//g, '');
  const [outside = ''] = css.split('@media (max-width');
  const rules = [...outside.matchAll(/([^{}]+)\{([^{}]*:[^{}]*)\}/g)].map(([, selector = '', text = '']) => ({
    selector: selector.trim(),
    lines: text
      .split(';')
      .map((line) => line.trim().replaceAll(/\s+/g, ' '))
      .filter((line) => line !== ''),
  }));
  expect(rules.length).toBeGreaterThan(80);
  for (const { selector, lines } of rules) {
    const names = lines.map((line) => line.split(':')[0]);
    expect([selector, names]).toEqual([selector, [...new Set(names)]]);
  }
  // One line alone says little, unless it is a colour.
  const bodies = rules
    .filter(({ lines }) => lines.length > 1 || lines.some((line) => line.includes('color')))
    .map(({ lines }) => lines.toSorted().join('; '));
  expect(bodies.filter((body, at) => bodies.indexOf(body) !== at)).toEqual([]);
});

test('the page is small, and names no other server', async () => {
  const { html } = await dashboardPage();
  expect(Buffer.byteLength(html)).toBeLessThan(mostBytes);
  const urls = html.match(/\b(?:https?:)?\/\/[a-z][\w.-]+\.[a-z]+[\w/.]*/gi) ?? [];
  expect(urls.filter((url) => !url.startsWith('http://www.w3.org/'))).toEqual([]);
});
