import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Asks on the terminal; true for `yes`, and for nothing else. */
export async function askYes(question: string, output: NodeJS.WritableStream): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output });
  try {
    lines.setPrompt(`${question} Type yes: `);
    lines.prompt();
    const answer = once(lines, 'line') as Promise<[string]>;
    const [line] = await Promise.race([answer, once(lines, 'close').then(() => [''])]);
    return line?.trim().toLowerCase() === 'yes';
  } finally {
    lines.close();
  }
}
