import { ComputeError } from './errors.ts';
import type { FailpointName } from './failpoint-list.ts';
import { sleep } from './clock.ts';
import { poll } from './poll.ts';

interface Action {
  readonly task: string;
  readonly argument: string | null;
  readonly percent: number;
  /** How many more times it applies. */
  left: number;
}

const shape = /^(?:(\d+(?:\.\d+)?)%)?(?:(\d+)\*)?(off|return|sleep|pause|panic|exit)(?:\(([^()]*)\))?$/;
const pauseMs = 50;

/** Named places where tests make the program fail. Without a test, none of them is set.
 *  @see https://docs.rs/fail for the syntax of the actions. Supported are `off`, `return`, `sleep`, `pause`, `panic`,
 *  percentages and counts, and also `exit` */
export class Failpoints {
  readonly #points = new Map<string, readonly Action[]>();

  /** Sets the actions of a point, e.g. `return(boom)`, `50%sleep(100)->return`.
   *  @throws ComputeError `bad_request` for an unknown action */
  set(name: string, actions: string): void {
    this.#points.set(name, actions.split('->').map(parse));
  }

  /** Sets several points, in the form of FAILPOINTS: `name=actions;name=actions`. @throws ComputeError `bad_request` */
  setAll(text: string): void {
    for (const entry of text.split(';').filter((one) => one.trim() !== '')) {
      const [name = '', ...rest] = entry.split('=');
      this.set(name.trim(), rest.join('='));
    }
  }

  /** Call and await this where a test may want a failure.
   *  @returns the argument of `return`, '' when it has none; null: continue as if the point did not exist
   *  @throws Error for `panic`; AbortError */
  async hit(name: FailpointName, signal: AbortSignal): Promise<string | null> {
    const action = this.#points.get(name)?.find(applies);
    if (action === undefined) return null;
    action.left--;
    if (action.task === 'sleep') await sleep(Number(action.argument), signal);
    const over = (): true | null => (this.#points.get(name)?.includes(action) === true ? null : true);
    if (action.task === 'pause') await poll(over, { everyMs: pauseMs, limitMs: Infinity }, signal);
    if (action.task === 'panic') throw new Error(`${name} failpoint`);
    // The purpose of this action: a process that exits in the middle of its work.
    if (action.task === 'exit') process.exit(1);
    return action.task === 'return' ? (action.argument ?? '') : null;
  }

  /** The same where `return` is simply a failure.
   *  @param which what is about to happen, where an argument selects one of several
   *  @throws ComputeError `internal` */
  async pass(name: FailpointName, signal: AbortSignal, which = ''): Promise<void> {
    const selected = await this.hit(name, signal);
    if (selected === null || (selected !== which && selected !== '' && which !== '')) return;
    throw new ComputeError('internal', `${name} failpoint`);
  }
}

const applies = ({ percent, left }: Action): boolean => left > 0 && Math.random() * 100 < percent;

function parse(text: string): Action {
  const found = shape.exec(text.trim());
  const [, percent = '100', count, task = '', argument = null] = found ?? [];
  if (found === null || (task === 'sleep' && !/^\d+$/.test(argument ?? ''))) {
    throw new ComputeError(
      'bad_request',
      `failed to configure failpoints: ${JSON.stringify(text)} is not known`,
    );
  }
  return { task, argument, percent: Number(percent), left: count === undefined ? Infinity : Number(count) };
}

/** This process's failpoints. */
export const failpoints = new Failpoints();
