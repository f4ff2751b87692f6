import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseArgs } from '../../../src/cli/args.ts';
import { onPath } from '../../support/on-path.ts';
import { scratchDir } from '../../support/scratch.ts';

const dir = fileURLToPath(new URL('../../../packaging/systemd', import.meta.url));
const units = readdirSync(dir).map((name) => ({ name, text: readFileSync(join(dir, name), 'utf8') }));

/** The value of a setting, with its continued lines. */
const valueOf = (text: string, name: string): string =>
  new RegExp(`^${name}=((?:.*\\\\\\n)*.*)$`, 'm').exec(text)?.[1]?.replaceAll(/\\\n\s*/g, '') ?? '';

describe.each(units)('the unit $name', ({ name, text }) => {
  test.skipIf(!onPath('systemd-analyze'))('is accepted by systemd without a warning', () => {
    const there = scratchDir('units');
    const program = join(there, 'program');
    writeFileSync(program, '#!/bin/sh\n');
    chmodSync(program, 0o755);
    writeFileSync(join(there, name), text.replaceAll(/\/usr\/bin\/compute[-_a-z]+/g, program));
    const args = ['verify', '--man=no', '--recursive-errors=no', join(there, name)];
    expect(
      execFileSync('systemd-analyze', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
    ).toBe('');
  });

  test('lets a stop take as long as it may', () => {
    const [, ...args] = valueOf(text, 'ExecStart').split(/\s+/);
    const stop = Number(args.find((arg) => arg.startsWith('--stop-timeout='))?.split('=')[1] ?? 90);
    expect(Number(valueOf(text, 'TimeoutStopSec'))).toBeGreaterThan(stop + 30);
  });
});

test('the command line of the unit of compute_ctl is one that it accepts', () => {
  const unit = units.find(({ name }) => name === 'compute_ctl.service');
  const line = valueOf(unit?.text ?? '', 'ExecStart')
    .replace('${CONTROL_PLANE_URI}', 'http://control-plane:1234')
    .replace('${COMPUTE_ID}', 'compute-1');
  const parsed = parseArgs(line.split(/\s+/).slice(1), {});
  expect(parsed).toMatchObject({ options: { stopTimeoutSeconds: 90, computeId: 'compute-1' }, notes: [] });
});
