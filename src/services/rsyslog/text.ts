import { ComputeError } from '../../core/errors.ts';
import type { Endpoint } from './endpoint.ts';

export interface AuditText {
  /** Directory of the audit files. */
  readonly directory: string;
  readonly collector: Endpoint;
  readonly tls: boolean;
  readonly endpointId: string;
  readonly projectId: string;
  readonly workDir: string;
  readonly caFile: string;
}

/** The first line of our files. */
export const head = '# Written by compute_ctl, which replaces and removes it.\n';

/** Seconds after which the last message of a file counts as complete, if no other begins. */
export const messageEndSeconds = 1;
/** How late rsyslogd may notice that: it looks once a second, and counts whole ones. */
export const messageLateSeconds = 2.5;

/** Bytes of what is sent for one message. rsyslogd's own limit of 8 KB is less than some statements, and what it cuts is no JSON any
 *  more: whoever hides a statement in a long one would hide the whole message. 5000 of these wait in its memory. */
const messageLimit = { size: '32k', bytes: 32_000 };
/** What is sent of a longer one, in bytes: JSON takes up to six for one. */
const cutBytes = 5000;

/** A message begins with its time. The zone is `log_timezone` of Postgres, which is GMT unless somebody has changed it. */
const messageBegin = '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3} [A-Za-z0-9+-]+,';

/** Reads the audit files and sends each message as JSON, with the ids of the compute. While the collector is away, reading
 *  pauses, so the files keep what is not sent. The queue must be larger than 1024 messages: imfile hands over so many at
 *  once, and a smaller queue that cannot take them stands still for ever (rsyslog 8.2302).
 *  @throws ComputeError `spec_invalid` when a value cannot be written */
export function auditText(audit: AuditText): string {
  const { directory, collector, tls } = audit;
  if (/[*?[\]{}\\]/.test(directory))
    throw unusable('the path of the audit files', directory, 'rsyslog takes it for a pattern');
  const action = [
    'type="omfwd"',
    ...target(collector),
    'template="PgAuditLog"',
    untilItIsBack,
    ...(tls ? tlsParameters(collector) : []),
  ];
  return `${head}module(load="imfile")
global(workDirectory=${quoted(audit.workDir, 'the working directory')} maxMessageSize="${messageLimit.size}")
${tls ? `global(DefaultNetstreamDriverCAFile=${quoted(audit.caFile, 'the file of the authorities')})\n` : ''}template(
  name="PgAuditLog" type="string"
  string="<%PRI%>1 %TIMESTAMP:::date-rfc3339% %HOSTNAME% - - - - %$.json_log%"
)
ruleset(name="compute_audit" queue.type="linkedList" queue.size="5000" queue.timeoutShutdown="2000") {
  set $.remote_syslog_tls = "${tls}";
  if $syslogtag == "pgaudit_log" then {
    set $.json_log!endpoint_id = ${quoted(audit.endpointId, 'spec.endpoint_id')};
    set $.json_log!project_id = ${quoted(audit.projectId, 'spec.project_id')};
    set $.json_log!msg = $msg;
    if strlen($.json_log) > ${messageLimit.bytes} then {
      set $.json_log!msg = substring($msg, 0, ${cutBytes});
      set $.json_log!cut = "true";
    }
    action(
      ${action.join('\n      ')}
    )
    stop
  }
}
input(
  type="imfile" file=${quoted(`${directory}/*.log`, 'the path of the audit files')}
  tag="pgaudit_log" severity="info" facility="local5"
  startmsg.regex=${quoted(messageBegin, 'startmsg.regex')} readTimeout="${messageEndSeconds}"
  ruleset="compute_audit"
)
`;
}

/** Messages of the log that wait for the collector, at most; each takes about 1 KB. */
const exportedWaiting = 20_000;

/** Sends on what Postgres writes to syslog. What the queue has no room for is dropped at once: a queue that waits for room holds up
 *  rsyslogd, which then reads no socket any more, and Postgres would stand still at its next line. The name is that of the queue in
 *  rsyslogd's statistics, where what was dropped is counted. */
export const exportText = (collector: Endpoint): string => `${head}if $programname == "postgres" then {
  action(
    name="compute_logs_export" type="omfwd"
    ${target(collector).join('\n    ')}
    template="RSYSLOG_SyslogProtocol23Format"
    ${untilItIsBack}
    queue.type="linkedList" queue.size="${exportedWaiting}" queue.timeoutEnqueue="0" queue.timeoutShutdown="2000"
  )
  stop
}
`;

/** Seconds between the tries, which do not end. */
const untilItIsBack = 'action.resumeRetryCount="-1" action.resumeInterval="5" action.resumeIntervalMax="30"';

const target = ({ host, port }: Endpoint): string[] => [`target="${host}" port="${port}" protocol="tcp"`];

/** @see https://www.rsyslog.com/doc/concepts/ns_gtls.html */
const tlsParameters = ({ host }: Endpoint): string[] => [
  'StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name"',
  `StreamDriverPermittedPeers="${host}"`,
  'StreamDriver.CheckExtendedKeyPurpose="on" StreamDriver.PermitExpiredCerts="off"',
];

/** A string of RainerScript.
 *  @throws ComputeError `spec_invalid` for control characters, which no id and no path of ours has */
function quoted(text: string, what: string): string {
  if (/\p{Cc}/u.test(text)) throw unusable(what, text, 'it has a control character');
  return `"${text.replaceAll(/[\\"$]/g, '\\$&')}"`;
}

const unusable = (what: string, text: string, why: string): ComputeError =>
  new ComputeError(
    'spec_invalid',
    `${what} cannot be written for rsyslog, because ${why}: ${JSON.stringify(text)}`,
  );
