import { withLinked } from '../../core/abort.ts';
import { sleep } from '../../core/clock.ts';
import type { Health, Service, ServiceDeps } from '../service.ts';
import { type Loop, inBackground } from '../forms.ts';
import type { OffloadState, PrewarmState } from './api.ts';

const lookMs = 1000;

/** Fills the file cache after a start. */
export const autoprewarm: Service<true> = {
  name: 'autoprewarm',
  when: 'after-ready',
  wants: ({ spec }) => (spec.autoprewarm ? true : null),
  start: async (_, deps) =>
    inBackground(deps, {
      name: 'autoprewarm',
      async work(signal, loop) {
        const { lfc } = deps;
        // A request may have begun one before.
        if (lfc.prewarmState().status === 'not_prewarmed') lfc.prewarm(null);
        for (; lfc.prewarmState().status === 'prewarming';) await sleep(lookMs, signal);
        loop.report(...healthOf(lfc.prewarmState()));
      },
    }),
};

/** With these, the cache is not half filled: it could not spoil the state that was saved before. */
const worthSaving: readonly PrewarmState['status'][] = ['completed', 'not_prewarmed', 'skipped'];

/** Saves the state of the file cache at an interval. */
export const lfcOffload: Service<number> = {
  name: 'lfc-offload',
  when: 'after-ready',
  wants: ({ spec }) => spec.offload_lfc_interval_seconds,
  async start(wanted, deps) {
    let seconds = wanted;
    let changed = new AbortController();
    return inBackground<number>(deps, {
      name: 'lfc-offload',
      reconfigure(next) {
        if (next === seconds) return;
        seconds = next;
        changed.abort();
      },
      async work(signal, loop) {
        while (!signal.aborted) {
          const due = await withLinked([signal, changed.signal], (either) => isOver(seconds * 1000, either));
          if (changed.signal.aborted) changed = new AbortController();
          if (!due) continue;
          await offload(deps, signal);
          loop.report(...(notSaved(deps.lfc.prewarmState()) ?? healthOf(deps.lfc.offloadState())));
        }
      },
    });
  },
};

const isOver = (ms: number, signal: AbortSignal): Promise<boolean> =>
  sleep(ms, signal).then(
    () => true,
    () => false,
  );

async function offload({ lfc }: ServiceDeps, signal: AbortSignal): Promise<void> {
  const isBusy = (): boolean => lfc.offloadState().status === 'offloading';
  if (isBusy() || !worthSaving.includes(lfc.prewarmState().status)) return;
  lfc.offload();
  while (isBusy()) await sleep(lookMs, signal);
}

/** Null: the cache may be saved, or will be once it is filled. */
function notSaved(state: PrewarmState): Parameters<Loop['report']> | null {
  if (state.status !== 'failed' && state.status !== 'cancelled') return null;
  const why = state.status === 'failed' ? `failed (${state.error})` : 'was cancelled';
  return [
    'degraded',
    `the file cache is not saved: its prewarm ${why}, and a half-filled cache would replace a full one`,
  ];
}

const healthOf = (state: PrewarmState | OffloadState): [Health['state'], string | null] =>
  state.status === 'failed' ? ['failed', state.error] : ['ok', null];
