-- Watches every write of the processes whose application_name begins with 'zombie': who made it, and
-- whether that process held the job at that moment. What was not its to write is a fault.
create schema audit;
create table audit.claims (token uuid, job_id uuid, attempt integer not null, process text not null, primary key (token, job_id));
create table audit.faults (what text not null);

create function audit.me() returns text language sql stable as $$
    select nullif(current_setting('application_name'), '')
$$;

create function audit.fault(what text) returns void language sql as $$
    insert into audit.faults values (audit.me() || ': ' || what)
$$;

-- Claims are written down. Any other write to a running job is the holder's, but for two: an enqueue
-- marks it to run again, and a sweep takes it back once its lease has run out.
create function audit.job() returns trigger language plpgsql as $$
declare
    is_mark boolean := tg_op = 'UPDATE' and new.state = 'running' and new.lease_token = old.lease_token
        and new.lease_until = old.lease_until and new.started_at is not distinct from old.started_at;
    is_sweep boolean := tg_op = 'UPDATE' and new.state in ('ready', 'dead') and old.lease_until < clock_timestamp()
        and new.failures <= old.failures;
begin
    if audit.me() not like 'zombie%' then
        return null;
    end if;
    if old.state <> 'running' then
        if tg_op = 'UPDATE' and new.state = 'running' then
            insert into audit.claims values (new.lease_token, new.id, new.attempt, audit.me());
        end if;
    elsif not is_mark and not is_sweep
          and not exists (select from audit.claims
                          where token = old.lease_token and job_id = old.id and process = audit.me()) then
        perform audit.fault(tg_op || ' of a running ' || old.kind || ' held by '
            || (select process from audit.claims where token = old.lease_token and job_id = old.id));
    end if;
    return null;
end $$;
create trigger audit after update or delete on queue.jobs for each row execute function audit.job();

-- Whether this transaction has locked the row of a running job that this process holds: then nobody can
-- have taken it over, nor can before this transaction ends.
create function audit.holds() returns boolean language plpgsql as $$
declare
    me xid := pg_current_xact_id()::xid;
    running record;
begin
    for running in
        select job.xmax as locked_by from queue.jobs job join audit.claims on token = lease_token and job_id = job.id
        where state = 'running' and process = audit.me()
    loop
        if running.locked_by = me then
            return true;
        end if;
        begin
            if exists (select from pg_get_multixact_members(running.locked_by) where xid = me) then
                return true;
            end if;
        exception when others then null; -- It is locked by one transaction, and that is not this one.
        end;
    end loop;
    return false;
end $$;

create function audit.effect() returns trigger language plpgsql as $$
begin
    if audit.me() like 'zombie%' and not audit.holds() then
        perform audit.fault(tg_op || ' in ' || tg_table_name || ' without a job');
    end if;
    return null;
end $$;
do $$
declare name text;
begin
    foreach name in array array['accounts', 'stripe_customers', 'subscriptions', 'telephony', 'twilio_subaccounts', 'phone_numbers'] loop
        execute format('create trigger audit after insert or update or delete on %I for each row execute function audit.effect()', name);
    end loop;
end $$;

-- The journal: a request is written ahead by the holder of the job. What came of it may be recorded by
-- any run if it is a success, which never changes; a failure only by the run that sent the request.
create function audit.journal() returns trigger language plpgsql as $$
begin
    if audit.me() not like 'zombie%' then
        return null;
    end if;
    if tg_op = 'UPDATE' and new.state = 'done' then
        if old.ext_ref is not null and new.ext_ref is distinct from old.ext_ref then
            perform audit.fault('another success of ' || old.kind);
        end if;
    elsif tg_op = 'UPDATE' and new.last_sent_at is not distinct from old.last_sent_at
          and new.lease_token is not distinct from old.lease_token then
        if not exists (select from audit.claims where token = old.lease_token and process = audit.me()) then
            perform audit.fault('a failure of another run''s ' || old.kind);
        end if;
    elsif not audit.holds() then
        perform audit.fault(tg_op || ' of ' || new.kind || ' without a job');
    end if;
    return null;
end $$;
create trigger audit after insert or update on provider_calls for each row execute function audit.journal();
