import type { ResolvedSpec } from '../spec/resolve.ts';
import type { ComputeCtlConfig } from '../spec/schema.ts';
import { mustBeSameCompute, mustBeSameTimeline } from './same-spec.ts';
import type { ComputeState } from './state.ts';

/** A new spec, and the config that came with it. */
export interface Candidate {
  readonly spec: ResolvedSpec;
  /** Null: the spec came alone, and the current keys stay in use. */
  readonly config: ComputeCtlConfig | null;
}

/** Which parts of the current spec must not change: `next`, all that identify a running compute; `promotion`, the same
 *  except the mode; `first`, none. */
export type Succession = 'first' | 'next' | 'promotion';

export interface AcceptDeps {
  readonly state: ComputeState;
  /** Finds the errors that would make a start or a reconfiguration fail later. @throws ComputeError `spec_invalid` */
  readonly validate: (spec: ResolvedSpec) => void;
  /** Replaces the keys that tokens are verified with. Never rejects for a bad set: the current keys stay in use. */
  readonly rotateKeys: (jwks: ComputeCtlConfig['jwks']) => Promise<unknown>;
}

/** The only way to accept a spec: it is refused as a whole, or stored, and its keys are in use before it is applied. */
export class SpecAcceptance {
  readonly #deps: AcceptDeps;
  /** Key rotations run in the order of their specs. */
  #rotated: Promise<unknown> = Promise.resolve();

  constructor(deps: AcceptDeps) {
    this.#deps = deps;
  }

  /** Only validates, for a caller with more checks before it accepts the spec.
   *  @throws ComputeError `spec_invalid` */
  check(spec: ResolvedSpec, as: Succession): void {
    const { state, validate } = this.#deps;
    validate(spec);
    if (as === 'next') mustBeSameCompute(state.spec, spec);
    if (as === 'promotion') mustBeSameTimeline(state.spec, spec);
  }

  /** Validates, stores, rotates the keys. The caller then starts or reconfigures the compute.
   *  @param claim changes the status, between validating and storing; if it throws, the spec is refused
   *  @throws ComputeError `spec_invalid`, and what `claim` threw; then nothing has changed */
  async accept({ spec, config }: Candidate, as: Succession, claim: () => void = () => {}): Promise<void> {
    this.check(spec, as);
    claim();
    this.#deps.state.spec = spec;
    await this.rotate(config);
  }

  /** @param config without keys: the current ones stay in use */
  rotate(config: ComputeCtlConfig | null): Promise<unknown> {
    if (config === null || config.jwks.keys.length === 0) return this.#rotated;
    const { jwks } = config;
    this.#rotated = this.#rotated.then(() => this.#deps.rotateKeys(jwks));
    return this.#rotated;
  }
}
