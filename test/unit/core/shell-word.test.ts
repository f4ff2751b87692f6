import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { shellWord } from '../../../src/core/shell-word.ts';
import { commandWith } from '../../../src/local/desired/read.ts';
import { commandFor, placesIn } from '../../../src/local/state.ts';

test.each(['/var/lib/x', 'a b', "it's", '$(id)', '~/x', '', 'a\nb', '*;"\\`'])(
  'a shell reads %j as it was',
  (text) => {
    expect(execFileSync('sh', ['-c', `printf %s ${shellWord(text)}`], { encoding: 'utf8' })).toBe(text);
  },
);

test('what needs no quotes has none', () => {
  expect(shellWord('/srv/my-db_1.json')).toBe('/srv/my-db_1.json');
});

test('command lines of hints can be pasted, whatever the paths are', () => {
  const dir = placesIn('/srv/my db');
  expect(commandFor(dir, 'plan')).toBe("compute-local plan --dir '/srv/my db'");
  expect(commandWith(dir, 'plan', 'a;b.json')).toBe(
    "compute-local plan --file 'a;b.json' --dir '/srv/my db'",
  );
});
