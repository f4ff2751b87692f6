// The page of the dashboard in one piece: its scripts bundled, its styles and they inlined, and the hashes that allow them.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { die, root } from './run.mjs';

const folder = join(root, 'src/local/dashboard/page');
const name = 'virtual:dashboard-page';

/** A page that opens at once, also where somebody looks at it from afar. */
export const mostBytes = 150_000;

let built;
/** The page, and what esbuild says of its inputs. */
export const dashboardPage = () => (built ??= makePage());

async function makePage() {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [join(folder, 'main.ts'), join(folder, 'main.css')],
    bundle: true,
    write: false,
    outdir: 'page',
    format: 'iife',
    platform: 'browser',
    target: ['chrome120', 'firefox120', 'safari17'],
    minify: true,
    charset: 'utf8',
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });
  const text = (end) => outputFiles.find(({ path }) => path.endsWith(end)).text.trim();
  const [script, style] = [text('.js'), text('.css')];
  for (const end of ['</script', '<!--'])
    if (script.includes(end)) die(`the script of the page has ${end} in it`);
  const html = readFileSync(join(folder, 'page.html'), 'utf8')
    .replace('/* style */', () => style)
    .replace('/* script */', () => script);
  if (Buffer.byteLength(html) > mostBytes)
    die(`the page of the dashboard has ${Buffer.byteLength(html)} bytes, more than ${mostBytes}`);
  // With the blanks that the template has around them.
  const inside = (tag) => hashOf(html.split(`<${tag}>`)[1].split(`</${tag}>`)[0]);
  const policy = `script-src ${inside('script')}; style-src ${inside('style')}`;
  return { html, policy, metafile };
}

const hashOf = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

async function moduleText() {
  const { html, policy } = await dashboardPage();
  return `export const page = ${JSON.stringify({ html, policy })};\n`;
}

/** For esbuild. */
export const pageForBundle = {
  name,
  setup(pluginBuild) {
    pluginBuild.onResolve({ filter: /^virtual:dashboard-page$/ }, () => ({ path: name, namespace: name }));
    pluginBuild.onLoad({ filter: /.*/, namespace: name }, async () => ({
      contents: await moduleText(),
      loader: 'js',
    }));
  },
};
