import { sleep } from '../../core/clock.ts';
import { onSignals } from '../../process/signals.ts';
import { type Listed, listAll, listText } from '../branches/list.ts';
import { inspectDir } from '../own.ts';
import type { LocalDir } from '../state.ts';

const lookMs = 1000;
/** To the top left, and what was below is removed. */
const anew = '\u001B[H\u001B[J';

/** Shows the list again and again until a signal: on a terminal in place, elsewhere when something has changed.
 *  @throws ComputeError `dir_refused` when the directory is somebody else's */
export async function watch(dir: LocalDir, json: boolean): Promise<number> {
  inspectDir(dir, 'stop');
  const { stdout } = process;
  const stop = new AbortController();
  stdout.on('error', () => stop.abort());
  onSignals((_, meaning) => void (meaning === 'ignore' || stop.abort()));
  let last = '';
  if (stdout.isTTY && !json) stdout.write('\u001B[2J');
  while (!stop.signal.aborted) {
    const all = listAll(dir);
    const shown = json ? `${JSON.stringify({ computes: all })}\n` : listText(all, Date.now());
    const about = JSON.stringify(all.map(stateOf));
    if (stdout.isTTY && !json) stdout.write(`${anew}${shown}`);
    else if (about !== last) stdout.write(`${last === '' || json ? '' : '\n'}${shown}`);
    last = about;
    await sleep(lookMs, stop.signal).catch(() => {});
  }
  return 0;
}

/** What is worth another line; sizes and the end of the WAL change all the time. */
const stateOf = ({ name, state, parent, parent_lsn, expires_at, port }: Listed): unknown => [
  ...[name, state, parent, parent_lsn, expires_at, port],
];
