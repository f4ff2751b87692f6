import { rmSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import { inline } from '../../../../src/core/errors.ts';
import { Failpoints } from '../../../../src/core/failpoints.ts';
import { Metrics } from '../../../../src/metrics/registry.ts';
import {
  archive,
  found,
  inInstallation,
  storeAt,
  useInstallation,
} from '../../../support/extension-store.ts';
import { startFileServer } from '../../../support/file-server.ts';

useInstallation();

test.each(['compute-extension-download', 'compute-extension-install'])(
  '%s fails one extension, of which nothing stays, and the next one that asks gets it',
  async (point) => {
    const server = await startFileServer(await archive());
    onTestFinished(() => server.stop());
    const points = new Failpoints();
    const base = `${new URL(server.url).origin}/base/`;
    const store = storeAt(base, new Metrics(), never, points);
    points.set(point, 'return(other)');
    expect(await store.bring('demo', never)).toBeGreaterThan(0);
    for (const name of found()) rmSync(inInstallation(name));
    const again = storeAt(base, new Metrics(), never, points);
    points.set(point, '1*return(demo)');
    expect(await again.bring('demo', never).catch(inline)).toContain(`${point} failpoint`);
    expect(found()).toEqual([]);
    expect(await again.bring('demo', never)).toBeGreaterThan(0);
    expect(found()).toHaveLength(3);
  },
);
