import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Typed {
  readonly type: string;
  /** The module that exports the type. */
  readonly from: string;
  readonly value: unknown;
}

/** In JSON a member of an enumeration is its text. */
const plain = `type Plain<T> = T extends string ? \`\${T}\` : T extends readonly (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;`;

/** Lets the compiler compare literals with published types: unlike the JSON schemas of Kubernetes it refuses a member that the
 *  type does not have, at any depth. @throws with the compiler's words */
export function strictly(values: readonly Typed[]): void {
  const dir = join(root, 'test/manifests/node_modules/.strict', String(process.pid));
  mkdirSync(dir, { recursive: true });
  try {
    const lines = values.map(
      ({ type, from, value }, n) =>
        `import type { ${type} as T${n} } from '${from}';\nexport const v${n}: Plain<T${n}> = ${JSON.stringify(value, null, 1)};\n`,
    );
    writeFileSync(join(dir, 'values.ts'), [plain, ...lines].join('\n'));
    const options = [
      '--ignoreConfig',
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--module',
      'nodenext',
      '--types',
      '',
    ];
    execFileSync(join(root, 'node_modules/.bin/tsc'), [...options, join(dir, 'values.ts')], {
      encoding: 'utf8',
      stdio: 'pipe',
      cwd: dir,
    });
  } catch (error) {
    throw new Error((error as { stdout: string }).stdout, { cause: error });
  } finally {
    rmSync(dir, { recursive: true });
  }
}
