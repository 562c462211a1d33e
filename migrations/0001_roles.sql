-- Two roles, neither of which can log in and neither of which owns anything.
--
-- tollkeeper_app      what an app's request runs as: it sees the rows of the one account named by
--                     `app.account_id` in its own transaction, and none when nothing is named.
-- tollkeeper_service  what the receiver, the workers and the operators run as: every account.
--
-- The login user of DATABASE_URL owns the tables and is made a member of both. Policies name a role,
-- so no session state is needed and a transaction pooler in between does no harm.
do $$
begin
    create role tollkeeper_app nologin;
exception when duplicate_object or unique_violation then null;
end $$;

do $$
begin
    create role tollkeeper_service nologin;
exception when duplicate_object or unique_violation then null;
end $$;

do $$
begin
    if not pg_has_role(current_user, 'tollkeeper_app', 'member') then
        execute format('grant tollkeeper_app to %I', current_user);
    end if;
    if not pg_has_role(current_user, 'tollkeeper_service', 'member') then
        execute format('grant tollkeeper_service to %I', current_user);
    end if;
end $$;

grant usage on schema public to tollkeeper_app, tollkeeper_service;
