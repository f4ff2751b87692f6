import { abortedBy } from '../../core/abort.ts';
import { sleep } from '../../core/clock.ts';
import { onSignals } from '../../process/signals.ts';
import type { Called } from '../status/called.ts';
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
export async function watch(dir: LocalDir, called: Called, json: boolean): Promise<number> {
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
      const report = await collectStatus(dir, undefined, called);
      exit = states[report.state].exit;
      const text = json
        ? statusJson(report)
        : statusText(report, paintFor(stdout, env), Date.now(), called.start);
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

/** Over what is there, without clearing it first, so that nothing flickers. What the screen has no room for is left out: a line that
 *  went on in the next row would move the others. */
export function onScreen(
  text: string,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): string {
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => fitting(line, columns));
  const fits = lines.length < rows;
  const shown = fits
    ? lines
    : [...lines.slice(0, Math.max(rows - 2, 1)), `… ${lines.length - rows + 2} more lines`];
  const all = fits ? [...shown, ''] : shown;
  return `${home}${all.map((line) => `${line}${endOfLine}`).join('\n')}${endOfScreen}`;
}

// eslint-disable-next-line no-control-regex
const colourOrCharacter = /\u001B\[\d+m|./gu;

/** The beginning of a line, with all of its colours, which take no room. */
function fitting(line: string, columns: number): string {
  const isColour = (part: string): boolean => part.startsWith('\u001B');
  const parts = line.match(colourOrCharacter) ?? [];
  if (parts.filter((part) => !isColour(part)).length <= columns) return line;
  let left = columns - 1;
  const shown = parts.filter((part) => isColour(part) || left-- > 0);
  return `${shown.join('')}…`;
}
