import { environmentForPrograms } from './environment.ts';
import { runOk } from './run-process.ts';

/** Variables of sd_notify(3), e.g. `READY: '1'`. */
export type Notification = Readonly<Record<string, string>>;

/** Longer than systemd-notify itself waits for systemd, 5 s. */
const limitMs = 7000;

/** Sends one notification to the socket that systemd has named. Node has no datagram sockets of this kind, so the program of
 *  systemd does it; its pid is the sender's, which is why a unit requires `NotifyAccess=all`.
 *  @param env its NOTIFY_SOCKET is the socket
 *  @throws ComputeError `program_missing`, `deadline`, `internal`; AbortError */
export async function systemdNotify(
  notification: Notification,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<void> {
  const variables = Object.entries(notification).map(([name, value]) => `${name}=${oneLine(value)}`);
  const socket = env['NOTIFY_SOCKET'] ?? '';
  const options = {
    command: 'systemd-notify',
    args: variables,
    env: { ...environmentForPrograms(env), NOTIFY_SOCKET: socket },
    limitMs,
  };
  await runOk(options, signal);
}

/** A line break would begin another variable. */
const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();
