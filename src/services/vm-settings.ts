import { existsSync } from 'node:fs';
import type { Cgroup } from '../vm-monitor/cgroup.ts';

/** The fixed settings of a VM that belongs to this compute alone. */
export interface VmSettings {
  /** Null outside an autoscaled VM (`AUTOSCALING` is not set). */
  readonly scaling: ScalingSettings | null;
  /** True: the swap is resized to the spec's size. */
  readonly resizeSwap: boolean;
  /** Mount point of the file system that gets the spec's disk quota; null: none. */
  readonly quotaMountpoint: string | null;
  /** Directory of the programs that resize the swap and set the disk quota. */
  readonly toolsDir: string;
  readonly sudo: string;
  /** The vm-informant of older images; null where there is none. */
  readonly informant: string | null;
}

export interface ScalingSettings {
  /** Of Postgres. */
  readonly cgroup: Cgroup;
  /** `ip:port`, as given. */
  readonly monitorAddress: string;
  /** Connection string of libpq, as given; may hold a password. */
  readonly fileCacheConnstr: string;
}

/** The options for `VmSettings`. */
export interface VmOptions {
  readonly cgroup: string;
  readonly cgroupRoot: string;
  readonly vmMonitorAddr: string;
  readonly filecacheConnstr: string;
  readonly resizeSwapOnBind: boolean;
  readonly setDiskQuotaForFs: string | null;
  readonly vmToolsDir: string;
  readonly sudo: string;
  readonly vmInformant: string;
}

/** @param env `AUTOSCALING` counts when it is set, even if empty */
export function vmSettings(options: VmOptions, env: NodeJS.ProcessEnv): VmSettings {
  const scaling = {
    cgroup: { root: options.cgroupRoot, name: options.cgroup },
    monitorAddress: options.vmMonitorAddr,
    fileCacheConnstr: options.filecacheConnstr,
  };
  return {
    scaling: env['AUTOSCALING'] === undefined ? null : scaling,
    resizeSwap: options.resizeSwapOnBind,
    quotaMountpoint: options.setDiskQuotaForFs,
    toolsDir: options.vmToolsDir,
    sudo: options.sudo,
    informant: existsSync(options.vmInformant) ? options.vmInformant : null,
  };
}
