import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Rule } from '../../support/alerts.ts';
import { prometheusTool, promtool, rulesFile } from '../../support/prometheus.ts';
import { parseYaml } from '../../support/yaml.ts';

test('every alert says what to do, and has a section in docs/alerts.md', () => {
  const page = readFileSync(new URL('../../../docs/alerts.md', import.meta.url), 'utf8');
  const { groups } = parseYaml(readFileSync(rulesFile, 'utf8')) as { groups: { rules: Rule[] }[] };
  const rules = groups.flatMap((group) => group.rules);
  expect([...page.matchAll(/^## (\w+)$/gm)].map(([, name]) => name)).toEqual(rules.map(({ alert }) => alert));
  for (const { alert, labels, annotations } of rules) {
    expect(['warning', 'critical']).toContain(labels.severity);
    expect(annotations.summary).toMatch(/\.$/);
    expect(annotations.description.length).toBeGreaterThan(60);
    expect(annotations.runbook_url).toBe(`docs/alerts.md#${alert.toLowerCase()}`);
    const [, section = ''] = page.split(`## ${alert}\n`);
    expect(section.split('\n## ')[0]).toMatch(/^\n.+\n\n- Look: .+\n- Do: .+/);
  }
});

test.skipIf(prometheusTool('promtool') === null)('promtool accepts the rules', () => {
  expect(promtool(['check', 'rules', rulesFile])).toContain('SUCCESS');
});
