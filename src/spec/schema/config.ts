import * as v from 'valibot';
import { ComputeSpec } from './compute-spec.ts';
import { optional, required } from './kit.ts';

/** Required parameters of each family of keys.
 *  @see https://www.rfc-editor.org/rfc/rfc7518#section-6 */
export const keyParameters: Readonly<Record<string, readonly string[]>> = {
  OKP: ['crv', 'x'],
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  oct: ['k'],
};

/** A key as it came, whole if its family is known. Which keys can be used is decided in `spec/jwks.ts`.
 *  @see https://www.rfc-editor.org/rfc/rfc7517 */
export const Jwk = v.pipe(
  v.looseObject({ kty: required(v.string(), 'Family of the key: `OKP`, `RSA`, `EC` or `oct`.') }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const jwk: Readonly<Record<string, unknown>> = dataset.value;
    for (const name of brokenMembers(jwk)) {
      const value = jwk[name];
      const path = { type: 'object', origin: 'value', input: jwk, key: name, value } as const;
      addIssue({ message: name, input: value, expected: 'string', path: [path] });
    }
  }),
);

function brokenMembers(jwk: Readonly<Record<string, unknown>>): string[] {
  const kty = String(jwk['kty']);
  const needed = Object.hasOwn(keyParameters, kty) ? (keyParameters[kty] ?? []) : [];
  const texts = ['alg', 'kid', 'use'].filter((name) => (jwk[name] ?? null) !== null);
  return [...needed, ...texts].filter((name) => typeof jwk[name] !== 'string');
}

export const JwkSet = v.object({
  keys: required(v.array(Jwk), 'Keys, tried in order. Empty: every authenticated request is refused.'),
});

export const ComputeCtlConfig = v.object({
  jwks: required(JwkSet, 'Keys that verify the bearer tokens of the external HTTP server.'),
  tls: optional(
    v.object({
      key_path: required(v.string(), 'Absolute path of the PEM key.'),
      cert_path: required(v.string(), 'Absolute path of the PEM certificate chain.'),
    }),
    'TLS files; used only when the spec has the feature `tls_experimental`.',
  ),
});

/** What a config file and the body of `POST /configure` hold. */
export const ConfigFile = v.object({
  spec: optional(ComputeSpec, 'What to run; null starts the compute empty.'),
  compute_ctl_config: required(ComputeCtlConfig, "compute_ctl's own keys and certificates."),
});

/** The body of `POST /configure`, which requires a spec. */
export const ConfigureBody = v.object({
  spec: required(ComputeSpec, 'What to run.'),
  compute_ctl_config: ConfigFile.entries.compute_ctl_config,
});

/** The control plane's answer. */
export const ControlPlaneResponse = v.object({
  ...ConfigFile.entries,
  status: required(v.picklist(['empty', 'attached']), 'Whether a spec is attached to this compute.'),
});
