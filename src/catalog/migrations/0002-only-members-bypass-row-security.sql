-- Why: older versions gave BYPASSRLS to every role. Members of the privileged role inherit it; other roles must not
-- have it.   Re-run: safe, but also revokes later grants   Locks: no user table
do $$
declare
  privileged constant pg_catalog.name := pg_catalog.current_setting('compute_ctl.privileged_role');
  one record;
begin
  for one in
    select r.rolname as name, r.rolinherit as inherits, r.rolbypassrls as bypasses,
      pg_catalog.pg_has_role(r.oid, privileged, 'member') as member
    from pg_catalog.pg_roles r
  loop
    if one.member and not one.inherits then
      raise notice 'role % inherits from now on', pg_catalog.quote_ident(one.name);
      execute pg_catalog.format('alter role %I inherit', one.name);
    elsif not one.member and one.bypasses and not pg_catalog.starts_with(one.name::pg_catalog.text, 'pg_') then
      raise notice 'role % is subject to row security from now on', pg_catalog.quote_ident(one.name);
      execute pg_catalog.format('alter role %I nobypassrls', one.name);
    end if;
  end loop;
end
$$;
