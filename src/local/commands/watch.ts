import { abortedBy } from '../../core/abort.ts';
import { sleep } from '../../core/clock.ts';
import { onSignals } from '../../process/signals.ts';
import { collectStatus } from '../status/collect.ts';
import { states } from '../status/schema.ts';
import { statusJson, statusText, paintFor } from '../status/text.ts';
import type { LocalDir } from '../state.ts';

const everyMs = 1000;

/** From here on the terminal shows the report alone; the scrollback stays. */
const [otherScreen, firstScreen] = ['\u001B[?1049h\u001B[?25l', '\u001B[?25h\u001B[?1049l'];
const [home, endOfLine, endOfScreen] = ['\u001B[H', '\u001B[K', '\u001B[J'];

/** Shows the status again each second, until a signal. On a terminal in place; elsewhere one report after the other, with
 *  `json` an object per line.
 *  @returns the exit code of the last state
 *  @throws ComputeError `dir_refused` when the directory is somebody else's */
export async function watch(dir: LocalDir, json: boolean): Promise<number> {
  const { stdout, env } = process;
  const stop = new AbortController();
  onSignals((_, meaning) => {
    if (meaning !== 'ignore') stop.abort();
  });
  // Whoever reads the output has gone.
  stdout.on('error', () => stop.abort());
  const inPlace = stdout.isTTY && !json && env['TERM'] !== 'dumb';
  let exit = 0;
  if (inPlace) stdout.write(otherScreen);
  try {
    while (!stop.signal.aborted) {
      const report = await collectStatus(dir);
      exit = states[report.state].exit;
      const text = json ? statusJson(report) : statusText(report, paintFor(stdout, env), Date.now());
      // A reader that is slow gets fewer of them.
      if (!stdout.writableNeedDrain)
        stdout.write(inPlace ? onScreen(text, stdout) : json ? text : `${text}\n`);
      await sleep(everyMs, stop.signal);
    }
  } catch (error) {
    if (!abortedBy(error, stop.signal)) throw error;
  } finally {
    if (inPlace) stdout.write(firstScreen);
  }
  return exit;
}

/** Over what is there, without clearing it first, so that nothing flickers. What the screen has no room for is left out. */
export function onScreen(text: string, { rows }: { readonly rows: number }): string {
  const lines = text.trimEnd().split('\n');
  const fits = lines.length < rows;
  const shown = fits
    ? lines
    : [...lines.slice(0, Math.max(rows - 2, 1)), `… ${lines.length - rows + 2} more lines`];
  const all = fits ? [...shown, ''] : shown;
  return `${home}${all.map((line) => `${line}${endOfLine}`).join('\n')}${endOfScreen}`;
}
