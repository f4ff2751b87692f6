/** The rsyslogd of this machine, which a supervisor keeps running. */
export interface RsyslogSettings {
  /** The program, with which its configuration is checked. */
  readonly program: string;
  /** The configuration that it was started with; it includes the files of `confDir`. */
  readonly conf: string;
  readonly confDir: string;
  readonly pidFile: string;
  /** Where it remembers what it has read. */
  readonly workDir: string;
  /** Certificates of the authorities that a collector's certificate is checked against. */
  readonly caFile: string;
}

export interface AuditSettings {
  /** `host:port` as given; null: none is configured. */
  readonly endpoint: string | null;
  /** The variable that it is from. */
  readonly from: string;
  readonly tls: boolean;
  /** Bytes that the audit files may take. */
  readonly limitBytes: number;
}

/** The options for both. */
export interface LogOptions {
  readonly rsyslogd: string;
  readonly rsyslogConf: string;
  readonly rsyslogConfDir: string;
  readonly rsyslogPidFile: string;
  readonly rsyslogWorkDir: string;
  readonly rsyslogCaFile: string;
  readonly auditLogLimitBytes: number;
}

export const rsyslogSettings = (options: LogOptions): RsyslogSettings => ({
  program: options.rsyslogd,
  conf: options.rsyslogConf,
  confDir: options.rsyslogConfDir,
  pidFile: options.rsyslogPidFile,
  workDir: options.rsyslogWorkDir,
  caFile: options.rsyslogCaFile,
});

const withTls = 'AUDIT_LOGGING_TLS_ENDPOINT';
const withoutTls = 'AUDIT_LOGGING_ENDPOINT';

/** The variable for TLS comes first; an empty variable counts as not set. */
export function auditSettings(options: LogOptions, env: NodeJS.ProcessEnv): AuditSettings {
  const limitBytes = options.auditLogLimitBytes;
  const secure = env[withTls] ?? '';
  if (secure !== '') return { endpoint: secure, from: withTls, tls: true, limitBytes };
  const plain = env[withoutTls] ?? '';
  return { endpoint: plain === '' ? null : plain, from: withoutTls, tls: false, limitBytes };
}
