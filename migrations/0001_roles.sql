-- Two roles, neither of which can log in and neither of which owns anything.
--
-- tollkeeper_app      what an app's request runs as: it sees the rows of the one account named by
--                     `app.account_id` in its own transaction, and none when nothing is named.
-- tollkeeper_service  what the receiver, the workers and the operators run as: every account.
--
-- The login user of DATABASE_URL owns the tables and is made a member of both. Policies name a role,
-- so no session state is needed and a transaction pooler in between does no harm.
--
-- A login user that may not create roles finds both made, and granted to it, by its administrator.
do $$
declare role_name text;
begin
    foreach role_name in array array['tollkeeper_app', 'tollkeeper_service'] loop
        if not exists (select from pg_roles where rolname = role_name) then
            begin
                execute format('create role %I nologin', role_name);
            exception when duplicate_object or unique_violation then null;
            end;
        end if;
        -- Not 'member': since Postgres 16 whoever creates a role is its member, and may neither use
        -- its rights nor become it.
        if not pg_has_role(current_user, role_name, 'usage') then
            execute format('grant %I to %I', role_name, current_user);
        elsif current_setting('server_version_num')::int >= 160000 then
            if not pg_has_role(current_user, role_name, 'set') then
                execute format('grant %I to %I', role_name, current_user);
            end if;
        end if;
    end loop;
end $$;

grant usage on schema public to tollkeeper_app, tollkeeper_service;
