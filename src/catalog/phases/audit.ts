import { ident, sql } from '../../core/sql.ts';
import { databaseObject, itemsOf } from '../items.ts';
import type { Phase, PlanItem } from '../phase.ts';

const { unit, obstacle } = itemsOf('audit');

const extensionsOf = {
  Disabled: [],
  Log: ['pgaudit'],
  Base: ['pgaudit'],
  Hipaa: ['pgaudit', 'pgauditlogtofile'],
  Extended: ['pgaudit', 'pgauditlogtofile'],
  Full: ['pgaudit', 'pgauditlogtofile'],
} as const;

/** The audit extensions, last, so that this very pass is audited; the system database, where only compute_ctl works,
 *  is then silenced. A missing extension fails the pass: not to audit in silence would be worse. */
export const audit: Phase = {
  name: 'audit',
  plan({ spec, systemDatabase }, observed) {
    const names = extensionsOf[spec.audit_log_level];
    if (names.length === 0) return [];
    const items = names
      .filter((name) => !observed.extensions.has(name))
      .map((name): PlanItem => {
        const object = `extension ${JSON.stringify(name)}`;
        if (observed.available.has(name)) {
          return unit('batch', 'create', object, [
            sql`create extension if not exists ${ident(name)} schema public`,
          ]);
        }
        return obstacle(
          object,
          `audit_log_level ${spec.audit_log_level} needs it, but the server does not have it`,
        );
      });
    if (observed.auditOfSystem === 'none') return items;
    const silence = sql`alter database ${ident(systemDatabase)} set pgaudit.log = 'none'`;
    return [...items, unit('batch', 'silence', databaseObject(systemDatabase), [silence])];
  },
};
