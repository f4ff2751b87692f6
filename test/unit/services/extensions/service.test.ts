import { pino } from 'pino';
import { expect, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import { remoteExtensions } from '../../../../src/services/extensions/service.ts';
import type { ServiceDeps } from '../../../../src/services/service.ts';

const spec = { public_extensions: ['demo'], custom_extensions: [], library_index: { demo: 'demo' } };
const wanted = {
  spec: { ...spec, extension_data: { demo: { control_data: {}, archive_path: '' } } },
  preload: ['demo'],
};

/** @param control what writing the control files does, @param bring what a download does */
const started = (control: () => Promise<void>, bring: () => Promise<number>) => {
  const extensions = { canDownload: true, trouble: null, writeControlFiles: control, bring };
  const log = pino({ level: 'silent' });
  const more = { onExtensionsLoaded: () => {}, postgresRuns: () => false };
  const deps = { extensions, log, ...more } as unknown as ServiceDeps;
  return remoteExtensions.start(wanted, deps, never);
};

const works = (): Promise<void> => Promise.resolve();
const fails = (why: string) => (): Promise<never> => Promise.reject(new Error(why));

test('a library that Postgres has started without is still missing after a new spec', async () => {
  const running = await started(works, fails('404 Not Found'));
  const before = running.health;
  expect(before).toMatchObject({ state: 'failed', error: '404 Not Found' });
  await running.reconfigure(wanted, never);
  expect(running.health).toEqual(before);
});

test('a control file of a new spec that cannot be written is shown until one can', async () => {
  let control: () => Promise<void> = works;
  const running = await started(
    () => control(),
    () => Promise.resolve(1),
  );
  expect(running.health.state).toBe('ok');
  control = fails('the disk is full');
  await expect(running.reconfigure(wanted, never)).rejects.toThrow('the disk is full');
  expect(running.health).toMatchObject({ state: 'failed', error: 'the disk is full' });
  control = works;
  await running.reconfigure(wanted, never);
  expect(running.health.state).toBe('ok');
});
