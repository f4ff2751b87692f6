import type { AuditLogLevel, ComputeSpec } from '../spec/schema.ts';
import { quoteConf } from './conf-syntax.ts';
import { addLibraries, preloadLibraries } from './preload-libraries.ts';

interface Level {
  readonly markers: readonly [string, string];
  readonly settings: readonly string[];
  readonly libraries: readonly string[];
}

const compliance = (parameters: 'on' | 'off', classes: string): Level => ({
  markers: ['compliance audit settings: begin', 'compliance audit settings: end'],
  settings: [
    `pgaudit.log_parameter=${parameters}`,
    `pgaudit.log='${classes}'`,
    'pgaudit.log_catalog=off',
    'pgaudit.log_rotation_age=5',
  ],
  libraries: ['pgaudit', 'pgauditlogtofile'],
});

const base: Level = {
  markers: ['base audit settings: start', 'base audit settings: end'],
  settings: ["pgaudit.log='ddl,role'", 'pgaudit.log_catalog=off'],
  libraries: ['pgaudit'],
};

const extended = compliance('off', 'all, -misc');

/** Levels that write to Postgres's own log. */
const baseLevels: Partial<Record<AuditLogLevel, Level>> = { Log: base, Base: base };

/** Levels that write to separate files, which a service must read and remove. */
const complianceLevels: Partial<Record<AuditLogLevel, Level>> = {
  Hipaa: extended,
  Extended: extended,
  Full: compliance('on', 'all'),
};

export const isCompliance = (level: AuditLogLevel): boolean => complianceLevels[level] !== undefined;

/** The lines for an audit level that needs only Postgres. They come after the spec's settings and so override them, but
 *  keep their libraries. */
export const auditSection = (spec: ComputeSpec): string[] => section(spec, baseLevels[spec.audit_log_level]);

/** The same for the levels that need a service. */
export const complianceLines = (spec: ComputeSpec): string[] =>
  section(spec, complianceLevels[spec.audit_log_level]);

function section(spec: ComputeSpec, level: Level | undefined): string[] {
  if (level === undefined) return [];
  const libraries = addLibraries(preloadLibraries(spec), level.libraries);
  const [begin, end] = level.markers.map((marker) => `# Managed by compute_ctl ${marker}`);
  return [
    `${begin}`,
    ...level.settings,
    `shared_preload_libraries=${quoteConf(libraries, 'shared_preload_libraries')}`,
    `${end}`,
  ];
}
