import type { Status } from '../../core/status.ts';
import type { StatusReport } from '../status/schema.ts';
import type { Tree } from './tree-model.ts';

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
  /** `unknown`: asked for, and not looked at since `up` began. */
  readonly state: 'applied' | 'failed' | 'missing' | 'unknown' | 'built in' | 'by hand';
  /** When `apply` took it from a compute.json; null for all others. */
  readonly accepted: string | null;
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

/** A time in which a compute slept. */
export interface Asleep {
  readonly from: string;
  /** Null while it lasts. */
  readonly to: string | null;
  /** Null: nobody did yet. */
  readonly wokenBy: string | null;
  /** How long the wake took. */
  readonly wakeMs: number | null;
}

/** What `apply` would change. */
export interface Plan {
  /** Path of the compute.json. */
  readonly file: string;
  /** `absent`: there is no such file. `faulty`: it cannot be used, see `problems` or `error`. */
  readonly state: 'absent' | 'faulty' | 'known';
  /** What it was compared with; `last apply` while Postgres does not run. */
  readonly against: 'Postgres' | 'last apply' | null;
  /** When that was. */
  readonly at: string;
  /** When the last `apply` was accepted; null: there was none. */
  readonly appliedAt: string | null;
  /** One line each. */
  readonly changes: readonly string[];
  /** What is no longer asked for, and stays. */
  readonly left: readonly string[];
  /** What of that can be dropped: roles and databases. */
  readonly drops: readonly string[];
  readonly problems: readonly {
    readonly path: string;
    readonly line: number;
    readonly column: number;
    readonly message: string;
  }[];
  readonly error: string | null;
  readonly hint: string | null;
  /** Of the text of the file: `apply` changes nothing when it is another one by then. */
  readonly digest: string | null;
}

/** What is asked for before something is done. */
export interface Field {
  readonly name: string;
  readonly label: string;
  readonly kind: 'text' | 'choice' | 'flag' | 'hidden';
  readonly hint: string;
  readonly value: string;
  /** Of a choice. */
  readonly choices: readonly string[];
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
  readonly fields: readonly Field[];
  /** What it would do, one line each. */
  readonly lines: readonly string[];
}

export interface Model {
  /** The server's clock; ISO 8601 in UTC. */
  readonly at: string;
  readonly version: string;
  /** What a command line for this directory ends with, with a blank before it; empty for that of everybody. */
  readonly dirOption: string;
  /** As `compute-local status --json` prints it. */
  readonly report: StatusReport;
  readonly checks: readonly Check[];
  readonly details: Readonly<Record<string, Details>>;
  readonly history: Readonly<Record<string, History>>;
  /** Of the main compute since its `up` began, the newest last. */
  readonly sleeps: readonly Asleep[];
  /** Null on the page of a branch. */
  readonly tree: Tree | null;
  readonly plan: Plan | null;
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
  /** What an action is doing. */
  readonly progress: { readonly action: string; readonly target: string; readonly what: string };
  /** `how` is the command that starts it again. */
  readonly ended: { readonly why: string; readonly how: string };
}

export type MessageName = keyof Messages;

/** The answer to an action. */
export interface Outcome {
  readonly ok: boolean;
  readonly message: string;
  /** What to do, where something failed. */
  readonly hint: string | null;
  readonly ms: number;
  /** What is wrong with a field; its path in the request. */
  readonly problems: readonly FieldProblem[];
}

export interface FieldProblem {
  readonly path: string;
  readonly message: string;
}
