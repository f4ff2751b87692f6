import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OwnInstallation } from './own-installation.ts';

/** The functions of the file cache, as Neon's extension has them. Loading takes a tenth of a second for each byte. */
const sql = `
create table neon.cache (state bytea, total int default 0, prewarmed int default 0);
insert into neon.cache (state) values ('\\x');
create function neon.get_local_cache_state(max_entries int default null) returns bytea
  language sql as $$ select nullif(state, '\\x') from neon.cache $$;
create function neon.prewarm_local_cache(given bytea, workers int default 1) returns void language plpgsql as $$
begin
  update neon.cache set total = length(given), prewarmed = 0;
  for each in 1 .. length(given) loop
    perform pg_catalog.pg_sleep(0.1);
  end loop;
  update neon.cache set state = given, prewarmed = length(given);
end $$;
create function neon.get_prewarm_info(out total int, out prewarmed int, out skipped int, out workers int)
  language sql as $$ select total, prewarmed, 0, 1 from neon.cache $$;
`;

/** Puts a stand-in for Neon's extension into an installation: its SQL functions, and a library that does nothing for them. */
export function addNeonExtension({ share, lib }: Pick<OwnInstallation, 'share' | 'lib'>): void {
  const control =
    "comment = 'stand-in'\ndefault_version = '1.0'\nrelocatable = false\nschema = neon\nsuperuser = true\n";
  writeFileSync(join(share, 'neon.control'), control);
  writeFileSync(join(share, 'neon--1.0.sql'), sql);
  // One that defines no settings: a server may load it beside others.
  copyFileSync(join(lib, 'lo.so'), join(lib, 'neon.so'));
}
