import { ComputeError } from '../core/errors.ts';
import { homeOf, listBranches, mainState } from './branches/tree.ts';
import { type NodePorts, listNodes, nodeDir } from './nodes.ts';
import type { PortHolds } from './port-holds.ts';
import { checkDistinct, choosePorts, preferred, refuseTaken } from './ports.ts';
import type { LocalDir, Ports } from './state.ts';

interface Asked {
  readonly port: number | null;
  readonly httpPort: number | null;
  readonly newPorts: boolean;
  /** 0: none. */
  readonly dashboardPort?: number | null;
}

const given = ({ port, httpPort, dashboardPort = null }: Asked): Partial<Ports> => ({
  ...(port === null ? {} : { postgres: port }),
  ...(httpPort === null ? {} : { externalHttp: httpPort }),
  ...(dashboardPort === null ? {} : { dashboard: dashboardPort }),
});

/** The ports that a node is to use: those of its earlier run where they are still its own. A port of another compute of
 *  this directory counts as taken also while that one does not run: it needs the port when it starts again.
 *  @param known of its earlier run
 *  @param holds has them from then on
 *  @throws ComputeError `usage` for a port that was asked for and is another compute's; `port` for one in use */
export async function portsOfNode(
  dir: LocalDir,
  name: string,
  known: NodePorts | null,
  asked: Asked,
  holds: PortHolds,
): Promise<NodePorts> {
  const { postgres, externalHttp, internalHttp } = preferred;
  const owners = (): Map<number, string> => portsOfOthers(dir, nodeDir(dir, name));
  const own = owners();
  const stays = known !== null && !asked.newPorts && Object.values(known).every((each) => !own.has(each));
  const wished = known ?? { postgres, externalHttp, internalHttp };
  return settled(wished, given(asked), { owners, holds, stays });
}

/** Those of a compute with a storage of its own, in the same way. Those that clients know stay, unless others were asked for.
 *  @param known null: it has none yet */
export async function portsOfUp(
  dir: LocalDir,
  known: Ports | null,
  asked: Asked,
  holds: PortHolds,
): Promise<Ports> {
  const owners = (): Map<number, string> => portsOfOthers(dir, dir);
  const stays = known !== null && !asked.newPorts;
  // Earlier versions had no dashboard.
  const wished = known === null ? preferred : { ...known, dashboard: known.dashboard ?? preferred.dashboard };
  return settled(wished, given(asked), { owners, holds, stays });
}

/** Those of a branch that is created. What `up` prefers is left to it.
 *  @throws ComputeError `usage` */
export async function portsOfBranch(
  branch: LocalDir,
  asks: Partial<Ports>,
  holds: PortHolds,
): Promise<Ports> {
  const owners = (): Map<number, string> => portsOfOthers(branch, branch);
  refuseOwned(asks, owners());
  const kept = Object.values(preferred);
  const reserved = (): Set<number> => new Set([...kept, ...owners().keys(), ...Object.values(asks)]);
  const ports = { ...(await choosePorts(preferred, reserved, holds)), ...asks };
  checkDistinct(ports);
  return ports;
}

interface Choice {
  readonly owners: () => ReadonlyMap<number, string>;
  readonly holds: PortHolds;
  /** The wished ones and no others where clients know them: in URLs, or in what asks the HTTP API. */
  readonly stays: boolean;
}

const ofClients: ReadonlySet<string> = new Set<keyof Ports>(['postgres', 'externalHttp']);

async function settled<P extends Partial<Ports> & Pick<Ports, 'postgres' | 'externalHttp'>>(
  wished: P,
  asks: Partial<P>,
  { owners, holds, stays }: Choice,
): Promise<P> {
  refuseOwned(asks, owners());
  const isFixed = ([name]: [string, unknown]): boolean => stays && ofClients.has(name);
  const rest = Object.entries(wished).filter(([name]) => !Object.hasOwn(asks, name));
  const [fixed, open] = [rest.filter(isFixed), rest.filter((one) => !isFixed(one))];
  const kept = [...Object.values(asks), ...fixed.map(([, port]) => port)] as number[];
  const reserved = (): Set<number> => new Set([...owners().keys(), ...kept]);
  const chosen = await choosePorts(Object.fromEntries(open), reserved, holds);
  const ports: P = { ...wished, ...chosen, ...asks };
  checkDistinct(ports);
  await refuseTaken(ports, holds);
  return ports;
}

function refuseOwned(asks: object, owners: ReadonlyMap<number, string>): void {
  for (const each of Object.values(asks) as number[]) {
    const owner = owners.get(each);
    if (owner !== undefined)
      throw new ComputeError('usage', `port ${each} is a port of ${owner}, which needs it when it starts`, {
        hint: 'choose another port with --port or --http-port',
      });
  }
}

/** Every port of the other computes of the directory that this one lies in, and of their storages, with who uses it. */
function portsOfOthers(dir: LocalDir, self: LocalDir): Map<number, string> {
  const home = homeOf(dir);
  const main = mainState(home);
  const owners = new Map<number, string>();
  const add = (one: LocalDir, ports: Partial<Ports>, owner: string): void => {
    if (one.root === self.root) return;
    for (const port of Object.values(ports)) if (port !== 0) owners.set(port, owner);
  };
  const branches = listBranches(home);
  for (const one of [home, ...branches.map((branch) => branch.dir)])
    for (const node of listNodes(one)) add(nodeDir(one, node.name), node.ports, `"${node.name}"`);
  for (const { name, dir: own, state } of branches) add(own, state.ports, `"${name}"`);
  if (main !== null) add(home, main.ports, 'the compute of `up`');
  return owners;
}
