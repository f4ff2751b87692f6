import { withSample } from '../samples.ts';
import { every } from './clock.ts';
import { command } from './command.ts';
import type { Link } from './overall.ts';
import type { LogLine, Messages, Model, Sample } from '../model.ts';

/** What the page knows. */
export interface View {
  readonly link: Link;
  /** Why there will be no more. */
  readonly why: string | null;
  /** Nothing has come for a while. */
  readonly isSilent: boolean;
  readonly model: Model | null;
  readonly samples: readonly Sample[];
  /** The compute that is shown. */
  readonly chosen: string;
}

/** The compute that `up` starts, as the server names it. */
export const mainName = 'main';

export type LogListener = (name: string, lines: readonly LogLine[], isWhole: boolean) => void;

/** Longer than between two messages of an `up` that is well, also with a big directory. */
const silentMs = 30_000;
/** The same while there is no connection. */
const lostMs = 8000;
const lookMs = 1000;

export interface Store {
  readonly view: () => View;
  choose(name: string): void;
}

/** Follows the server's messages. @param draw is called when something has changed */
export function openStore(
  draw: (view: View) => void,
  onLog: LogListener,
  onProgress: (progress: Messages['progress']) => void,
): Store {
  let view: View = {
    link: 'connecting',
    why: null,
    isSilent: false,
    model: null,
    samples: [],
    chosen: mainName,
  };
  const set = (changes: Partial<View>): void => {
    view = { ...view, ...changes };
    draw(view);
  };
  const source = new EventSource('events');
  let lastMs = performance.now();
  const on = <N extends keyof Messages>(name: N, take: (data: Messages[N]) => void): void =>
    source.addEventListener(name, (event: MessageEvent<string>) => {
      lastMs = performance.now();
      if (view.isSilent) set({ isSilent: false });
      take(JSON.parse(event.data) as Messages[N]);
    });
  // A browser does not see that a server hangs, or that a tunnel has ended.
  every(lookMs, () => {
    const isSilent = performance.now() - lastMs > (view.link === 'live' ? silentMs : lostMs);
    if (isSilent !== view.isSilent) set({ isSilent });
  });
  on('full', ({ model, samples, logs }) => {
    for (const [name, lines] of Object.entries(logs)) onLog(name, lines, true);
    set({ model, samples, link: 'live' });
  });
  on('model', (model) => set({ model, link: 'live' }));
  on('sample', (sample) => set({ samples: withSample(view.samples, sample) }));
  on('log', ({ name, lines }) => onLog(name, lines, false));
  on('progress', onProgress);
  on('ended', ({ why, how }) => {
    source.close();
    set({ link: 'ended', why: `${why}. Start it again with: ${how}, and open the link that it prints` });
  });
  source.addEventListener('open', () => set({ link: 'live' }));
  source.addEventListener('error', () => {
    if (source.readyState !== EventSource.CLOSED) set({ link: 'lost' });
    else void whyClosed().then((why) => set({ link: 'closed', why }));
  });
  return { view: () => view, choose: (chosen) => set({ chosen }) };
}

/** The browser does not say with which status it was refused. */
async function whyClosed(): Promise<string> {
  const status = await fetch('events', { method: 'HEAD' }).then(
    (answer) => answer.status,
    () => 0,
  );
  if (status === 401) return `This session has ended. Get a new link with: ${command('dashboard')}`;
  if (status === 503) return 'Too many pages are open: close one, and reload this one';
  return `There is no answer. Reload this page, or get a new link with: ${command('dashboard')}`;
}
