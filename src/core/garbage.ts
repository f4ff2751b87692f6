import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Keeps V8 from giving the young generation more room than it starts with (2 MB): left to itself it grows to 34 MB and more on
 *  Node 24 while much is read from a connection, and is never given back. No work here is slower for it.
 *  @see v8/src/flags/flag-definitions.h */
export function keepYoungSpaceSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

type Collect = (options: { readonly type: 'minor' }) => void;

let collect: Collect | null = null;
const nothing: Collect = () => {};

/** Collects young garbage now, in less than a millisecond, for work that drops many large buffers. Left to itself, V8 waits
 *  for up to 32 MB of them, and the C library's allocator keeps most of that memory when it is freed so late. Node has no
 *  function for it; with this flag a new context has V8's own.
 *  @see v8/src/extensions/gc-extension.cc */
export function collectYoungGarbage(): void {
  if (collect === null) {
    setFlagsFromString('--expose-gc');
    // A runtime without it keeps the memory.
    collect = (runInNewContext('globalThis.gc') as Collect | undefined) ?? nothing;
    setFlagsFromString('--no-expose-gc');
  }
  collect({ type: 'minor' });
}
