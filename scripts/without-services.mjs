import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const mark = '# Written by scripts/setup.mjs of compute-ctl while it installs packages.';

/** Debian's packages start their servers, which nobody here asked for, unless this program says no. A policy of somebody else
 *  stays as it is. One of ours that a killed process has left behind forbids nothing, and removes itself. */
export function withoutServices(install, policy = '/usr/sbin/policy-rc.d') {
  const ours = !existsSync(policy) || readFileSync(policy, 'utf8').includes(mark);
  if (ours) {
    const text = `#!/bin/sh\n${mark}\nkill -0 ${process.pid} 2>/dev/null && exit 101\nrm -f -- "$0"\nexit 0\n`;
    writeFileSync(policy, text, { mode: 0o755 });
  }
  try {
    return install();
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}
