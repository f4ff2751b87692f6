import * as v from 'valibot';
import { ComputeSpec } from './compute-spec.ts';
import { optional, required } from './kit.ts';

/** A key as it came; only `kty` is certain. `spec/jwks.ts` decides which keys can be used.
 *  @see https://www.rfc-editor.org/rfc/rfc7517 */
export const Jwk = v.looseObject({ kty: required(v.string(), 'Family of the key.') });

export const ComputeCtlConfig = v.object({
  jwks: required(
    v.object({
      keys: required(v.array(Jwk), 'Keys, tried in order. Empty: every authenticated request is refused.'),
    }),
    'Keys that verify the bearer tokens of the external HTTP server.',
  ),
  tls: optional(
    v.object({
      key_path: required(v.string(), 'Absolute path of the PEM key.'),
      cert_path: required(v.string(), 'Absolute path of the PEM certificate chain.'),
    }),
    'TLS files; used when the spec has the feature `tls_experimental`.',
  ),
});

/** What a config file and the body of `POST /configure` hold. */
export const ConfigFile = v.object({
  spec: optional(ComputeSpec, 'What to run; null starts the compute empty.'),
  compute_ctl_config: required(ComputeCtlConfig, 'Keys and certificates of compute_ctl itself.'),
});

/** The body of `POST /configure`, which makes no sense without a spec. */
export const ConfigureBody = v.object({
  spec: required(ComputeSpec, 'What to run.'),
  compute_ctl_config: ConfigFile.entries.compute_ctl_config,
});

/** What the control plane answers. */
export const ControlPlaneResponse = v.object({
  ...ConfigFile.entries,
  status: required(v.picklist(['empty', 'attached']), 'Whether a spec is attached to this compute.'),
});
