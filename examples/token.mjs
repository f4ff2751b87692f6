// What a control plane does for its tokens: makes a key pair, writes the key set for compute_ctl to a file, and prints a token for one
// compute. A real one keeps the private key, and signs a new token for each request.
//   node examples/token.mjs COMPUTE-ID KEYS > token
import { generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';

const [, , computeId, file] = process.argv;
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const key = { ...publicKey.export({ format: 'jwk' }), alg: 'EdDSA', use: 'sig', kid: 'example' };
writeFileSync(file, JSON.stringify({ keys: [key] }));

const hourMs = 3_600_000;
const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
const header = encode({ alg: 'EdDSA', kid: 'example' });
const claims = encode({ compute_id: computeId, exp: Math.floor((Date.now() + hourMs) / 1000) });
const signature = sign(null, Buffer.from(`${header}.${claims}`), privateKey).toString('base64url');
process.stdout.write(`${header}.${claims}.${signature}`);
