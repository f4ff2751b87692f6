import { giveUpRoot, isRoot } from '../../src/process/give-up-root.ts';
import { findOsUser } from '../../src/process/os-user.ts';

// The code under test runs as the user of Postgres, as compute_ctl does once root is given up. Each file of tests has a
// process of its own.
if (isRoot()) giveUpRoot(await findOsUser('postgres'));
