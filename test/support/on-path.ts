import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Whether a program is installed. */
export const onPath = (name: string): boolean =>
  (process.env['PATH'] ?? '').split(':').some((dir) => existsSync(join(dir, name)));
