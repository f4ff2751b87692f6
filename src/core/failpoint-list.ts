/** The points where tests can make the program fail. Where a point is for several things, the argument of `return` names the one that
 *  fails, and without an argument all do. */
export const failpointList = {
  'compute-promotion': 'the promotion, before `pg_promote`',
  'compute-migration':
    'the migrations; the argument is the number of the one that fails, after its SQL has run',
  'compute-prewarm': 'the prewarm of the file cache, before its state is downloaded',
  'compute-offload': 'the offload of the file cache, before its state is read',
  'compute-service-start': 'the start of a service; the argument is its name in `services` of `/status`',
  'compute-extension-download':
    'the download of an extension, before the first request; the argument is its name',
  'compute-extension-install': 'the same, unpacked and before the first file is moved into place',
  'compute-helper-apply': 'the settings of `pgbouncer` or `local-proxy`, before they are written',
  'compute-rsyslog-apply': 'the configuration for `audit-log` or `logs-export`, before it is written',
  'compute-audit-files': 'the clean-up of the audit files',
  'compute-tls-pair': 'the look at the TLS key and certificate, before they are read',
  'compute-installed-extensions': 'the count of the installed extensions',
} as const;

export type FailpointName = keyof typeof failpointList;
