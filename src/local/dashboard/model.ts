import type { Status } from '../../core/status.ts';
import type { StatusReport } from '../status/schema.ts';

// What the server tells the page. Nothing here is secret: every value is picked one by one.

export interface Step {
  readonly name: string;
  readonly ms: number;
}

/** A start of a compute, as its log has it. */
export interface Start {
  /** When it was finished; ISO 8601 in UTC. */
  readonly at: string;
  readonly totalMs: number;
  /** In their order; nearly all run one after the other. */
  readonly steps: readonly Step[];
}

export interface StatusChange {
  readonly at: string;
  readonly from: string;
  readonly to: string;
}

/** A pass over roles and databases. */
export interface Applied {
  readonly at: string;
  readonly statements: number;
  readonly ms: number;
}

export interface Downtime {
  readonly totalMs: number;
  /** The newest first. */
  readonly incidents: readonly {
    readonly from: string;
    /** Null while it lasts. */
    readonly to: string | null;
    readonly ms: number;
    readonly why: string;
  }[];
}

/** A role or a database, and how the latest pass has left it. */
export interface CatalogObject {
  readonly kind: 'role' | 'database';
  readonly name: string;
  /** Of a database. */
  readonly owner: string | null;
  readonly state: 'applied' | 'failed' | 'built in';
  /** Of what has failed. */
  readonly error: string | null;
  readonly hint: string | null;
  readonly since: string | null;
}

export interface Check {
  readonly state: 'ok' | 'wait' | 'bad';
  readonly text: string;
  /** What to do. */
  readonly hint: string | null;
}

/** What compute_ctl says about its compute; null or empty where it says nothing. */
export interface Details {
  readonly status: Status | null;
  readonly error: string | null;
  readonly lastActive: string | null;
  readonly downtime: Downtime | null;
  readonly objects: readonly CatalogObject[];
  readonly checks: readonly Check[];
}

/** What the log tells. */
export interface History {
  /** The newest first. */
  readonly starts: readonly Start[];
  readonly changes: readonly StatusChange[];
  readonly applied: Applied | null;
}

export interface Offer {
  /** Its key in the table of actions. */
  readonly action: string;
  /** Name of a compute; empty: it is about everything. */
  readonly target: string;
  readonly title: string;
  /** What follows from it. */
  readonly doc: string;
  readonly dangerous: boolean;
}

export interface Model {
  /** The server's clock; ISO 8601 in UTC. */
  readonly at: string;
  readonly version: string;
  /** As `compute-local status --json` prints it. */
  readonly report: StatusReport;
  readonly checks: readonly Check[];
  readonly details: Readonly<Record<string, Details>>;
  readonly history: Readonly<Record<string, History>>;
  readonly offers: readonly Offer[];
}

/** Measured at one moment; null where that was not possible. */
export interface Figures {
  /** Sessions of clients. */
  readonly clients: number | null;
  readonly active: number | null;
  readonly idle: number | null;
  readonly inTransaction: number | null;
  readonly limit: number | null;
  /** Per second, since the sample before. */
  readonly commits: number | null;
  readonly rollbacks: number | null;
  readonly walBytes: number | null;
}

export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly computes: Readonly<Record<string, Figures>>;
}

export interface LogLine {
  readonly text: string;
  /** A request to compute_ctl that was answered: frequent, and seldom of interest. */
  readonly isRequest: boolean;
}

export interface LogNews {
  readonly name: string;
  readonly lines: readonly LogLine[];
}

/** The messages by name. */
export interface Messages {
  /** The first one, and after a gap. */
  readonly full: {
    readonly model: Model | null;
    readonly samples: readonly Sample[];
    readonly logs: Readonly<Record<string, readonly LogLine[]>>;
  };
  readonly model: Model;
  readonly sample: Sample;
  readonly log: LogNews;
  readonly ended: { readonly why: string };
}

export type MessageName = keyof Messages;

/** The answer to an action. */
export interface Outcome {
  readonly ok: boolean;
  readonly message: string;
  readonly ms: number;
}
