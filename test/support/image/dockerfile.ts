import { readFileSync } from 'node:fs';
import { DockerfileParser } from 'dockerfile-ast';

export interface Step {
  readonly keyword: string;
  /** What follows the keyword and its flags, with continued lines joined; variables are still in it. */
  readonly text: string;
  readonly flags: Readonly<Record<string, string>>;
  readonly line: number;
}

export interface Stage {
  readonly name: string;
  readonly from: string;
  readonly steps: readonly Step[];
}

export interface Dockerfile {
  /** The defaults of the arguments before the first stage. */
  readonly args: Readonly<Record<string, string>>;
  readonly stages: readonly Stage[];
}

/** @see https://docs.docker.com/reference/dockerfile/ */
export function readDockerfile(path: string): Dockerfile {
  const steps = DockerfileParser.parse(readFileSync(path, 'utf8'))
    .getInstructions()
    .map((instruction): Step => {
      const flags = 'getFlags' in instruction ? (instruction.getFlags as () => Flag[])() : [];
      return {
        keyword: instruction.getKeyword(),
        text: instruction.getArgumentsContent() ?? '',
        flags: Object.fromEntries(flags.map((flag) => [flag.getName(), flag.getValue() ?? ''])),
        line: instruction.getRange().start.line + 1,
      };
    });
  const first = steps.findIndex(({ keyword }) => keyword === 'FROM');
  const stages: { name: string; from: string; steps: Step[] }[] = [];
  for (const step of steps.slice(first)) {
    const [from = '', , name = ''] = step.keyword === 'FROM' ? step.text.split(/\s+/) : [];
    if (step.keyword === 'FROM') stages.push({ name, from, steps: [] });
    else stages.at(-1)?.steps.push(step);
  }
  const args = Object.assign(
    {},
    ...steps.slice(0, first).map(({ text }) => pairs(text)),
  ) as Dockerfile['args'];
  return { args, stages };
}

interface Flag {
  getName(): string;
  getValue(): string | null;
}

/** `a=b c="d e"`; a name alone has no value and is left out. */
export function pairs(text: string): Record<string, string> {
  const found = text.matchAll(/([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)/g);
  return Object.fromEntries(
    [...found].map(([, name = '', value = '']) => [name, value.replaceAll(/^"|"$/g, '')]),
  );
}

/** Puts values in the place of `$NAME` and `${NAME}`. */
export const expand = (text: string, values: Readonly<Record<string, string | undefined>>): string =>
  text.replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced, bare) => values[braced ?? bare] ?? '');

/** The form with brackets; null: a line for the shell. */
export const listOf = (text: string): string[] | null =>
  text.startsWith('[') ? (JSON.parse(text) as string[]) : null;
