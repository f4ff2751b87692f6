/** What an image says of how it is run. */
export interface ImageConfig {
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workdir: string;
  readonly shell: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly volumes: readonly string[];
  readonly ports: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly stopSignal: string;
  readonly healthcheck: Healthcheck | null;
}

export interface Healthcheck {
  readonly command: readonly string[];
  readonly flags: Readonly<Record<string, string>>;
}

export const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
