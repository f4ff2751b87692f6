import { ComputeError } from '../core/errors.ts';
import { type NodePorts, listNodes } from './nodes.ts';
import { checkDistinct, choosePorts, preferred, refuseTaken } from './ports.ts';
import { type LocalDir, stateOf } from './state.ts';

interface Asked {
  readonly port: number | null;
  readonly httpPort: number | null;
  readonly newPorts: boolean;
}

/** The ports that a node is to use: those of its earlier run where they are still its own. A port of another compute of
 *  this directory counts as taken also while that one does not run: it needs the port when it starts again.
 *  @param known of its earlier run
 *  @throws ComputeError `usage` for a port that was asked for and is another compute's; `port` for one in use */
export async function portsOfNode(
  dir: LocalDir,
  name: string,
  known: NodePorts | null,
  { port, httpPort, newPorts }: Asked,
): Promise<NodePorts> {
  const asked = {
    ...(port === null ? {} : { postgres: port }),
    ...(httpPort === null ? {} : { externalHttp: httpPort }),
  };
  const owners = portsOfOthers(dir, name);
  for (const each of Object.values(asked)) {
    const owner = owners.get(each);
    if (owner !== undefined)
      throw new ComputeError('usage', `port ${each} is a port of ${owner}, which needs it when it starts`, {
        hint: 'choose another port with --port or --http-port',
      });
  }
  const kept = known !== null && !newPorts && Object.values(known).every((each) => !owners.has(each));
  const ports = { ...(kept ? known : await freePorts(known, owners)), ...asked };
  checkDistinct(ports);
  await refuseTaken(ports);
  return ports;
}

async function freePorts(known: NodePorts | null, owners: ReadonlyMap<number, string>): Promise<NodePorts> {
  const reserved = new Set(owners.keys());
  if (known !== null) return choosePorts(known, reserved);
  const { postgres, externalHttp, internalHttp } = await choosePorts(preferred, reserved);
  return { postgres, externalHttp, internalHttp };
}

/** Every port of the other computes, and of the storage, with who uses it. */
function portsOfOthers(dir: LocalDir, name: string): Map<number, string> {
  const main = Object.values(stateOf(dir).ports).map((port) => [port, 'the compute of `up`'] as const);
  const nodes = listNodes(dir)
    .filter((node) => node.name !== name)
    .flatMap((node) => Object.values(node.ports).map((port) => [port, `"${node.name}"`] as const));
  return new Map([...nodes, ...main]);
}
