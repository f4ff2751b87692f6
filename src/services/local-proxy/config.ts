import type { TlsFiles } from '../../postgres/tls.ts';
import type { LocalProxyConfig } from '../../spec/schema.ts';

/** The text of local_proxy's config file. TLS is that of the compute, whatever the spec says. */
export function configText({ jwks }: LocalProxyConfig, tls: TlsFiles | null): string {
  const keys = jwks?.map(({ id, role_names, jwks_url, provider_name, jwt_audience }) => {
    return { id, role_names, jwks_url, provider_name, jwt_audience };
  });
  return JSON.stringify(
    {
      ...(keys === undefined ? {} : { jwks: keys }),
      ...(tls === null ? {} : { tls: { key_path: tls.keyPath, cert_path: tls.certPath } }),
    },
    null,
    2,
  );
}

/** With it, nobody logs in through local_proxy. */
export const emptyConfig = '{}';
