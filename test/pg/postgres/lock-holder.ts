import { lockPgdata } from '../../../src/postgres/lock.ts';

// Run as a process of its own: takes the lock of argv[2], says so, and stays until it is killed.
await lockPgdata(process.argv[2] ?? '');
process.stdout.write('locked\n');
setInterval(() => {}, 1000);
