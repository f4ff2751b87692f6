/** Calls `late` in `ms` milliseconds, unless the function that it returns is called before. */
export function alarm(ms: number, late: () => void): () => void {
  const timeout = setTimeout(late, ms);
  return () => clearTimeout(timeout);
}

/** For as long as the page is open. */
export const every = (ms: number, work: () => void): void => {
  setInterval(work, ms);
};
