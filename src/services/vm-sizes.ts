import type { StartContext } from '../lifecycle/context.ts';

/** The programs that do it are loaded only where they are wanted. */
export async function resizeSwapOfVm(
  { settings, spec, log }: StartContext,
  signal: AbortSignal,
): Promise<void> {
  const bytes = spec.spec.swap_size_bytes;
  if (!settings.vm.resizeSwap || bytes === null) return;
  const { resizeSwap } = await import('./vm-programs.ts');
  await resizeSwap({ vm: settings.vm, env: settings.env, log }, bytes, signal);
}

export async function setQuotaOfVm(
  { settings, spec, log }: StartContext,
  signal: AbortSignal,
): Promise<void> {
  const { quotaMountpoint } = settings.vm;
  const bytes = spec.spec.disk_quota_bytes;
  if (quotaMountpoint === null || bytes === null) return;
  const { setDiskQuota } = await import('./vm-programs.ts');
  await setDiskQuota({ vm: settings.vm, env: settings.env, log }, bytes, quotaMountpoint, signal);
}
