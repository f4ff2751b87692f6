import { X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import type { Metrics } from '../metrics/registry.ts';
import { readSmallByLink } from '../process/regular-file.ts';

/** How long the certificate of Postgres is still valid, whoever has put it where `ssl_cert_file` says. While its file cannot be
 *  read, the one that was last seen counts: Postgres still has it. */
export class ServedCertificate {
  readonly #pgdata: string;
  readonly #metrics: Metrics;
  #last: Known | null = null;
  /** As Postgres has it; null: it does not use TLS. */
  file: string | null = null;

  constructor(pgdata: string, metrics: Metrics) {
    this.#pgdata = pgdata;
    this.#metrics = metrics;
  }

  /** A fifo in its place is not waited for.
   *  @throws ComputeError, or the system's error, when it cannot be read */
  show(): void {
    const { file } = this;
    try {
      this.#last = file === null ? null : { file, endsMs: endOf(resolve(this.#pgdata, file)) };
    } finally {
      const samples = this.#last === null ? [] : [sample(this.#last)];
      this.#metrics.replace('compute_pg_certificate_expiry_seconds', samples);
    }
  }
}

interface Known {
  readonly file: string;
  readonly endsMs: number;
}

const sample = ({ file, endsMs }: Known): { labels: { file: string }; value: number } => ({
  labels: { file },
  value: Math.floor((endsMs - Date.now()) / 1000),
});

const endOf = (path: string): number => Date.parse(new X509Certificate(readSmallByLink(path)).validTo);
