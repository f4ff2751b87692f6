import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { alarm, monotonicMs } from './clock.ts';
import { LineQueue, type Notice } from './line-queue.ts';

/** Characters that wait at most while the reader of stderr is slow. */
const maxQueuedChars = 2 * 1024 * 1024;
/** Characters of the newest lines that are still tried when the process exits. */
const maxLastChars = 16 * 1024;
/** Milliseconds that the exit waits for the reader at most. */
const exitMs = 500;
const retryMs = 5;

const queue = new LineQueue(maxQueuedChars);
let fd: number | null = null;
let unwritten: Buffer = Buffer.alloc(0);
/** What was written last does not end a line. */
let midLine = false;
let retrying = false;
let lastTryMs = 0;
let notice: Notice = (count) => `${count} log lines were dropped`;
const heldBack = new Set<() => void>();

/** Sets how the line looks that says how many lines were dropped. */
export const formatDropped = (format: Notice): void => void (notice = format);

/** Calls `flush` at each `flushHeldBack`, so that lines that somebody holds back keep their place.
 *  @returns ends that */
export function holdBack(flush: () => void): () => void {
  heldBack.add(flush);
  return () => void heldBack.delete(flush);
}

/** Log lines that were dropped since the start, because the reader of stderr was too slow. */
export const droppedLines = (): number => queue.dropped;

/** To call before a line gets its time: lines that were held back until now are older. */
export function flushHeldBack(): void {
  for (const flush of heldBack) flush();
}

/** Writes one line to stderr, whole and in order, and never waits: what the reader does not take is queued, and of a full
 *  queue the oldest lines are dropped and counted. */
export function writeLine(line: string): void {
  queue.add(line);
  // A full pipe is asked again after a pause, not for every line.
  if (!retrying || monotonicMs() - lastTryMs >= retryMs) writeQueued();
}

/** Opens what is queued for writing first, so that it works after root was given up. */
export function openStderr(): void {
  if (fd === null) {
    fd = withoutBlocking();
    process.on('exit', writeLast);
  }
}

/** A descriptor of stderr's pipe or terminal that does not block, without a change for others who have stderr open. */
function withoutBlocking(): number {
  try {
    const stat = fstatSync(2);
    if (stat.isSocket()) {
      // A socket cannot be opened again; this makes the one that we share with others not block.
      new Socket({ fd: 2, readable: false }).unref();
      return 2;
    }
    if (stat.isFile()) return 2;
    return openSync('/proc/self/fd/2', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return 2; // closed, or nothing that can be opened again: then it may block
  }
}

/** @returns true when nothing is left */
function writeQueued(): boolean {
  openStderr();
  lastTryMs = monotonicMs();
  try {
    for (;;) {
      if (unwritten.length === 0) unwritten = nextToWrite();
      if (unwritten.length === 0) return true;
      const written = writeSync(fd ?? 2, unwritten);
      if (written > 0) midLine = unwritten[written - 1] !== lineFeed;
      unwritten = unwritten.subarray(written);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') retryLater();
    else {
      // There is no reader anymore, or no room on its disk.
      queue.drop(linesIn(unwritten));
      unwritten = Buffer.alloc(0);
      queue.clear();
      return true;
    }
    return false;
  }
}

const lineFeed = 0x0a;

const linesIn = (bytes: Buffer): number => bytes.toString('latin1').split('\n').length - 1;

/** After a line whose end was lost, a new one begins. */
function nextToWrite(): Buffer {
  const text = queue.take(notice);
  return Buffer.from(midLine && text !== '' ? `\n${text}` : text);
}

function retryLater(): void {
  if (retrying) return;
  retrying = true;
  alarm(retryMs, () => {
    retrying = false;
    writeQueued();
  });
}

/** The newest lines are the ones that say why. A line that is half written is completed first. */
function writeLast(): void {
  const lineEnd = unwritten.indexOf('\n') + 1;
  queue.drop(linesIn(unwritten.subarray(lineEnd)));
  unwritten = unwritten.subarray(0, lineEnd);
  queue.keepNewest(maxLastChars);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (const end = monotonicMs() + exitMs; !writeQueued() && monotonicMs() < end;)
    Atomics.wait(pause, 0, 0, retryMs);
}
