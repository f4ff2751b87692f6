import type { ResolvedSpec } from '../spec/resolve.ts';
import type { ComputeCtlConfig } from '../spec/schema.ts';
import { mustBeSameCompute, mustBeSameTimeline } from './same-spec.ts';
import type { ComputeState } from './state.ts';

/** A spec that somebody hands over, and what came with it. */
export interface Candidate {
  readonly spec: ResolvedSpec;
  /** Null: it came alone, and the keys in force stay. */
  readonly config: ComputeCtlConfig | null;
}

/** What of the spec in force has to stay: all that identifies a running compute; for a promotion, all but its mode; for
 *  a compute without a spec, nothing. */
export type Succession = 'first' | 'next' | 'promotion';

export interface AcceptDeps {
  readonly state: ComputeState;
  /** Everything that a start or a reconfiguration would object to later. @throws ComputeError `spec_invalid` */
  readonly validate: (spec: ResolvedSpec) => void;
  /** Replaces the keys that tokens are verified with. Never rejects for a bad set: the keys in force stay. */
  readonly rotateKeys: (jwks: ComputeCtlConfig['jwks']) => Promise<unknown>;
}

/** The only way in which a spec comes into force: refused as a whole, or stored, with its keys in force, before
 *  anybody works on it. */
export class SpecAcceptance {
  readonly #deps: AcceptDeps;
  /** Rotations follow each other in the order of their specs. */
  #rotated: Promise<unknown> = Promise.resolve();

  constructor(deps: AcceptDeps) {
    this.#deps = deps;
  }

  /** Validates alone, for who has more to ask before the spec is taken.
   *  @throws ComputeError `spec_invalid` */
  check(spec: ResolvedSpec, as: Succession): void {
    const { state, validate } = this.#deps;
    validate(spec);
    if (as === 'next') mustBeSameCompute(state.spec, spec);
    if (as === 'promotion') mustBeSameTimeline(state.spec, spec);
  }

  /** Validates, stores, rotates the keys. What follows is the caller's: the start, or a reconfiguration.
   *  @param claim moves the status, between validating and storing; what it throws refuses the spec
   *  @throws ComputeError `spec_invalid`, and what `claim` threw; nothing has changed then */
  async accept({ spec, config }: Candidate, as: Succession, claim: () => void = () => {}): Promise<void> {
    this.check(spec, as);
    claim();
    this.#deps.state.spec = spec;
    await this.rotate(config);
  }

  /** @param config without keys: those in force stay */
  rotate(config: ComputeCtlConfig | null): Promise<unknown> {
    if (config === null || config.jwks.keys.length === 0) return this.#rotated;
    const { jwks } = config;
    this.#rotated = this.#rotated.then(() => this.#deps.rotateKeys(jwks));
    return this.#rotated;
  }
}
