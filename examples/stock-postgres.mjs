// Prints stock-postgres.json with what the storage of a compute-local has decided: ids, ports and the token for one start.
//   node examples/stock-postgres.mjs DIR KEYS > config.json
// DIR is the directory of compute-local, KEYS a key set from token.mjs. The storage must be running.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const [, , dir, keys] = process.argv;
const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
const { ports, controlPlaneToken, computeId } = read(join(dir, 'local.json'));

// As a control plane is asked: its answer has the only token that lets this compute become the one that writes.
const url = `http://127.0.0.1:${ports.controlPlane}/compute/api/v2/computes/${computeId}/spec`;
const answer = await fetch(url, { headers: { authorization: `Bearer ${controlPlaneToken}` } });
if (!answer.ok) throw new Error(`the storage answered ${answer.status}`);
const { spec: given } = await answer.json();

const config = read(new URL('stock-postgres.json', import.meta.url));
const { spec } = config;
for (const name of ['tenant_id', 'timeline_id', 'safekeeper_connstrings', 'storage_auth_token'])
  spec[name] = given[name];
spec.pageserver_connstring = `postgresql://no_user@127.0.0.1:${ports.pageserver}`;
spec.cluster.roles = given.cluster.roles;
setting('port', String(ports.postgres));
setting('unix_socket_directories', resolve(dir, 'run'));
config.compute_ctl_config.jwks = read(keys);
process.stdout.write(`${JSON.stringify(config, null, 2)}\n`);

function setting(name, value) {
  spec.cluster.settings.find((one) => one.name === name).value = value;
}
