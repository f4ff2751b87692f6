import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import grpc from '@grpc/grpc-js';
import { afterAll, expect, test, vi } from 'vitest';
import { startFakeGrpc } from '../../support/fake-grpc.ts';
import { makeTarball } from '../../support/fake-storage.ts';
import { BackupFixture, complete, failureOf, fetchBackup } from '../../support/fake-storage-backup.ts';
import { makeCertificate } from '../../support/tls.ts';

// The library reads where its roots are when it is loaded, which the imports above do.
const roots = vi.hoisted(() => {
  const file = `/tmp/grpc-roots-${process.pid}.pem`;
  process.env['GRPC_DEFAULT_SSL_ROOTS_FILE_PATH'] = file;
  return file;
});

const home = mkdtempSync(join(tmpdir(), 'grpc-tls-'));
const [key, cert] = [join(home, 'key.pem'), roots];
execFileSync(
  'openssl',
  [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert],
  ],
  { stdio: 'ignore' },
);
afterAll(() => {
  rmSync(home, { recursive: true });
  rmSync(roots);
});

test('grpcs:// is TLS with a certificate that must be good for the name', async () => {
  const fixture = new BackupFixture();
  const pair = [{ private_key: readFileSync(key), cert_chain: readFileSync(cert) }];
  const tarball = await makeTarball(complete);
  const fake = await startFakeGrpc({ tarball }, grpc.ServerCredentials.createSsl(null, pair));
  try {
    await fetchBackup(fixture.context([`grpcs://localhost:${fake.port}`], { limits: { connectMs: 5000 } }));
    expect(fake.calls).toHaveLength(1);
    const wrongName = fixture.context([`grpcs://127.0.0.1:${fake.port}`], { limits: { connectMs: 5000 } });
    expect(await failureOf(wrongName)).toContain('could not connect');
    expect(await failureOf(fixture.context([fake.url]))).toContain('could not connect');
    expect(fake.calls).toHaveLength(1);
  } finally {
    fake.stop();
    await fixture.stop();
  }
});

test('a certificate that is not trusted, or of another name, is not asked for again', async () => {
  const other = makeCertificate(home, 'elsewhere');
  const fixture = new BackupFixture();
  for (const [{ keyFile, certFile }, why] of [
    [other, 'self-signed certificate'],
    [{ keyFile: key, certFile: cert }, "does not match certificate's altnames"],
  ] as const) {
    let connections = 0;
    const server = createServer({
      key: readFileSync(keyFile),
      cert: readFileSync(certFile),
      ALPNProtocols: ['h2'],
    })
      .on('connection', () => connections++)
      .on('tlsClientError', () => {})
      .listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const asking = fixture.context([`grpcs://127.0.0.1:${port}`], {
        limits: { connectMs: 5000, retries: 10 },
      });
      expect(await failureOf(asking)).toContain(why);
      expect(connections).toBe(1);
    } finally {
      server.close();
    }
  }
  await fixture.stop();
});
