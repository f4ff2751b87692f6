import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import type { UpContext } from '../../../../src/local/children.ts';
import { type Outcome, stoppedByWake } from '../../../../src/local/next/events.ts';
import { NextStart } from '../../../../src/local/next/keeper.ts';
import { placesIn } from '../../../../src/local/state.ts';
import { noteFile, noteText } from '../../../../src/postgres/prepared/note.ts';
import { bootId } from '../../../../src/process/identity.ts';
import { parseLsn } from '../../../../src/core/lsn.ts';

const root = mkdtempSync(join(tmpdir(), 'keeper-'));
const [, program] = process.argv as [string, string];
afterEach(() => {
  process.argv[1] = program;
  rmSync(root, { recursive: true });
});

test('a start does not wait for ever for a template that is brought forward before it', async () => {
  const dir = placesIn(root);
  for (const path of [dir.log, dir.nextTemplate]) mkdirSync(path);
  const lsn = parseLsn('0/1')!;
  const ids = { tenantId: 'a', timelineId: 'b', systemId: '1', version: '1', bootId: bootId() };
  const note = { ...ids, lsn, checkpoint: lsn, postgresMajor: 17, postgresTimeline: 1 };
  writeFileSync(join(dir.nextTemplate, noteFile), noteText(note));
  // In place of compute-local: a preparation that hangs.
  process.argv[1] = join(root, 'compute-local.js');
  writeFileSync(join(root, 'compute-local.js'), 'setInterval(() => {}, 1000)');
  const context = {
    ...{ dir, escalate: never, diskLimits: { warnBytes: null, stopBytes: null } },
    tools: { postgres: { path: join(root, 'bin/postgres') } },
    report: { event() {}, progress() {} },
  } as unknown as UpContext;
  const said: Outcome[] = [];
  await new NextStart(context, null, (outcome) => said.push(outcome)).ahead(never, 50);
  expect(said).toEqual([
    { state: 'preparing', reason: null },
    { state: 'not_prepared', reason: stoppedByWake },
  ]);
});
