// Checks that every test named in docs/security.md and docs/databases.md exists: each is a link whose text is the test's title
// as it is written in the file that the link leads to. With --list prints how many were found.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = ['docs/security.md', 'docs/databases.md'];
const link = /\[([^\]]+)\]\(\.\.\/(test\/[^)]+\.test\.ts)\)/g;

const passed = pages.map(check);
process.exitCode = passed.every(Boolean) ? 0 : 1;

function check(page) {
  const named = [...readFileSync(join(root, page), 'utf8').matchAll(link)].map(([, title, file]) => ({
    title: title.replaceAll(/\\([[\]|*_`])/g, '$1').replaceAll('&#124;', '|'),
    file,
  }));
  const missing = named.filter(({ title, file }) => !hasTest(file, title));
  for (const { title, file } of missing)
    console.error(`${page} names the test "${title}", which is not in ${file}`);
  if (named.length === 0) console.error(`${page} names no test`);
  if (process.argv.includes('--list')) console.log(`${page} names ${named.length} tests`);
  return missing.length === 0 && named.length > 0;
}

function hasTest(file, title) {
  try {
    const text = readFileSync(join(root, file), 'utf8').replaceAll("\\'", "'");
    return ["'", '"', '`'].some((quote) => text.includes(quote + title + quote));
  } catch {
    return false;
  }
}
