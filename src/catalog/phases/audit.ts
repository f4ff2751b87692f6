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

/** Creates the audit extensions. Runs last, so that this pass is audited too; after it, auditing is off in the system
 *  database, where only compute_ctl works. A missing extension fails the pass, because a missing audit must be noticed. */
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
