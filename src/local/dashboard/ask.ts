import { ComputeClient } from '../../client/external.ts';
import { monotonicMs } from '../../core/clock.ts';
import { computeToken } from '../compute-api.ts';
import { computeState } from '../names.ts';
import type { LocalDir } from '../state.ts';
import { askAt, valueOf } from '../status/probe.ts';
import type { ComputeReport } from '../status/schema.ts';
import type { Accepted } from '../desired/accepted.ts';
import { detailsOf, noDetails, notSeen } from './details.ts';
import { type Counted, readMetrics } from './figures.ts';
import type { Details } from './model.ts';

/** Of every question; the status has limits of its own. */
const timeoutMs = 2000;

/** Asks a compute_ctl that is ours, by its typed client; null for one that does not run, and without an answer. */
async function asked<T>(
  dir: LocalDir,
  { name, compute_ctl_pid, ports }: ComputeReport,
  work: (client: ComputeClient) => Promise<T>,
): Promise<T | null> {
  if (compute_ctl_pid === null) return null;
  const client = new ComputeClient({
    url: `http://127.0.0.1:${ports.http}`,
    token: () => computeToken(computeState(dir, name), 60),
    timeoutMs,
    retries: 0,
  });
  return valueOf(await askAt(compute_ctl_pid, ports.http, () => work(client)));
}

export async function askFigures(dir: LocalDir, compute: ComputeReport): Promise<Counted | null> {
  const text = await asked(dir, compute, (client) => client.metrics());
  return text === null ? null : { atMs: monotonicMs(), values: readMetrics(text) };
}

/** @param known what was known before: the roles and databases of a compute that does not run are still those */
export async function askDetails(
  dir: LocalDir,
  compute: ComputeReport,
  accepted: Accepted | null,
  known: Details,
): Promise<Details> {
  const [status, downtime, catalog] = await Promise.all([
    asked(dir, compute, (client) => client.status()),
    asked(dir, compute, (client) => client.downtime()),
    compute.state === 'running' ? asked(dir, compute, (client) => client.dbsAndRoles({ timeoutMs })) : null,
  ]);
  const now = status === null ? noDetails : detailsOf(compute.name, status, downtime, catalog, accepted);
  if (now.objects.length > 0) return now;
  return { ...now, objects: known.objects.length > 0 ? known.objects : notSeen(accepted) };
}
