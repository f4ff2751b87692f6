import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const consumer = `
import { ComputeClient, type ComputeStatus, mintToken } from './client/index.js';
export const status = async (url: string): Promise<ComputeStatus['status']> => {
  const token = (): string => mintToken({ key: 'PEM', for: 'admin' });
  return (await new ComputeClient({ url, token }).status()).status;
};
export const wrong = (client: ComputeClient) =>
  // @ts-expect-error a mode that does not exist
  client.terminate('slow');
`;

test('the built client is one module without imports but those of Node, and its types need no other package', () => {
  const dir = mkdtempSync(join(tmpdir(), 'compute-ctl-client-'));
  try {
    cpSync('dist/client', join(dir, 'client'), { recursive: true });
    writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(dir, 'consumer.ts'), consumer);
    const compilerOptions = {
      ...{ strict: true, noEmit: true, target: 'es2023', module: 'nodenext', types: [] },
      ...{ lib: ['es2023', 'dom'], exactOptionalPropertyTypes: true },
    };
    writeFileSync(
      join(dir, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['consumer.ts', 'client/index.d.ts'] }),
    );
    const { stdout, status } = spawnSync('node_modules/.bin/tsc', ['-p', dir], { encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(status).toBe(0);
    const imported = [
      ...readFileSync('dist/client/index.js', 'utf8').matchAll(/^(?:import|export) .*from "(.*)"/gm),
    ];
    expect(imported.map(([, name]) => name).filter((name) => !name?.startsWith('node:'))).toEqual([]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
