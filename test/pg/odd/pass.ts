import type { PgTarget } from '../../../src/pg/target.ts';
import { applyCatalog } from '../../../src/catalog/apply.ts';
import { type SpecParts, inputFor, never, silent } from '../catalog/support.ts';

/** A catalog pass in a process of its own, which the test can kill. Arguments: target and spec, as JSON. */
const [, , target = '', parts = ''] = process.argv;
const server = JSON.parse(target) as PgTarget;
void applyCatalog(inputFor(server, JSON.parse(parts) as SpecParts), {
  target: server,
  log: silent,
  signal: never,
}).catch(() => process.exit(1));
