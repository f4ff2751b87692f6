import * as v from 'valibot';
import { writeAtomically } from '../../process/files.ts';
import { isAlive } from '../../process/identity.ts';
import { readSmall } from '../../process/regular-file.ts';
import { type Outcome, outcomes } from '../next/events.ts';
import { type HolderKind, holderKinds } from './holders.ts';

const states = Object.keys(outcomes) as [Outcome['state'], ...Outcome['state'][]];
const kinds = Object.keys(holderKinds) as [HolderKind, ...HolderKind[]];

/** What the front of a running `up` notes for `status`. */
const schema = v.object({
  pid: v.number(),
  started: v.string(),
  suspend_after_ms: v.number(),
  suspend_hard_after_ms: v.nullable(v.number()),
  kept_awake_by: v.array(v.object({ kind: v.picklist(kinds), who: v.string(), since: v.string() })),
  suspends: v.number(),
  wakes: v.number(),
  ended_sessions: v.number(),
  clients: v.number(),
  woken_by: v.nullable(v.string()),
  last_wake_ms: v.nullable(v.number()),
  // Earlier versions did not write it.
  next: v.optional(v.nullable(v.object({ state: v.picklist(states), reason: v.nullable(v.string()) })), null),
});

export type SleepNote = v.InferOutput<typeof schema>;

/** Names of roles and applications are nobody else's business. Nothing depends on it: a full disk does not count. */
export function writeNote(path: string, note: SleepNote): void {
  try {
    writeAtomically(path, `${JSON.stringify(note)}\n`, { mode: 0o600 });
  } catch {
    // As said above.
  }
}

/** Null when there is none, or it is that of an `up` that has ended. */
export function readNote(path: string): SleepNote | null {
  try {
    const note = v.parse(schema, JSON.parse(readSmall(path)));
    return isAlive(note) ? note : null;
  } catch {
    return null;
  }
}
