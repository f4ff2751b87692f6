import type { AuditLogLevel, ComputeSpec } from '../spec/schema.ts';
import { quoteConf } from './conf-syntax.ts';
import { addLibraries, preloadLibraries } from './preload-libraries.ts';

const compliance = (parameters: 'on' | 'off', classes: string) => ({
  markers: ['compliance audit settings: begin', 'compliance audit settings: end'],
  settings: [
    `pgaudit.log_parameter=${parameters}`,
    `pgaudit.log='${classes}'`,
    'pgaudit.log_catalog=off',
    'pgaudit.log_rotation_age=5',
  ],
  libraries: ['pgaudit', 'pgauditlogtofile'],
});

const base = {
  markers: ['base audit settings: start', 'base audit settings: end'],
  settings: ["pgaudit.log='ddl,role'", 'pgaudit.log_catalog=off'],
  libraries: ['pgaudit'],
};

const extended = compliance('off', 'all, -misc');

const levels = {
  Disabled: null,
  Log: base,
  Base: base,
  Hipaa: extended,
  Extended: extended,
  Full: compliance('on', 'all'),
} as const satisfies Record<AuditLogLevel, typeof base | null>;

/** What the audit level adds. It stands after the settings of the spec and so beats them, but keeps their libraries. */
export function auditSection(spec: ComputeSpec): string[] {
  const level = levels[spec.audit_log_level];
  if (level === null) return [];
  const libraries = addLibraries(preloadLibraries(spec), level.libraries);
  const [begin, end] = level.markers.map((marker) => `# Managed by compute_ctl ${marker}`);
  return [
    `${begin}`,
    ...level.settings,
    `shared_preload_libraries=${quoteConf(libraries, 'shared_preload_libraries')}`,
    `${end}`,
  ];
}
