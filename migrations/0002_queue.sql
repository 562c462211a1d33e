-- The job queue. `jobs` is the hot table: it holds what is still to be done, and what died and waits
-- for an operator. Everything else that ended is history, in `finished_jobs`, one partition per day.
create schema queue;
grant usage on schema queue to tollkeeper_app, tollkeeper_service;

create table queue.jobs (
    id           uuid primary key,
    kind         text not null,
    key          text not null,
    -- '' is the house's own work (ticks, sweeps); it takes its turn like an account.
    account_id   text not null default '',
    lane         text not null check (lane in ('money', 'voice', 'default', 'bulk')),
    priority     smallint not null default 0,
    state        text not null default 'ready' check (state in ('ready', 'running', 'waiting', 'dead')),
    run_at       timestamptz not null,
    -- Asked for again while running: it runs once more after this run.
    again        boolean not null default false,
    attempts_max integer not null check (attempts_max > 0),
    failures     integer not null default 0,
    crashes      integer not null default 0,
    -- The fence: every write of a run names (attempt, lease_token).
    attempt      integer not null default 0,
    lease_token  uuid,
    lease_until  timestamptz,
    worker       text,
    claimed_at   timestamptz,
    started_at   timestamptz,
    version      smallint not null,
    payload      jsonb not null,
    note         text,
    created_at   timestamptz not null default now(),
    check ((state = 'running') = (lease_token is not null)),
    check ((lease_token is null) = (lease_until is null))
) with (
    -- Rows change often and live shortly: leave room for in-page updates and vacuum by count.
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

-- At most one live job per (kind, key). A dead one does not stand in the way of a new one.
create unique index jobs_live_key on queue.jobs (kind, key) where state <> 'dead';
-- Exactly the claim: by lane, account after account, then each account's own order.
create index jobs_ready on queue.jobs (lane, account_id, priority desc, run_at, id) where state = 'ready';
create index jobs_waiting on queue.jobs (run_at) where state = 'waiting';
-- Not by lease_until: a renewal would then write the index too, many times a minute. There are never
-- more running jobs than worker slots, so the sweep reads them all.
create index jobs_running on queue.jobs (account_id, kind) where state = 'running';
create index jobs_dead on queue.jobs (kind, id) where state = 'dead';

create table queue.finished_jobs (
    id          uuid not null,
    kind        text not null,
    key         text not null,
    account_id  text not null,
    lane        text not null,
    priority    smallint not null,
    state       text not null check (state in ('done', 'skipped', 'cancelled')),
    run_at      timestamptz not null,
    attempts_max integer not null,
    failures    integer not null,
    crashes     integer not null,
    attempt     integer not null,
    worker      text,
    started_at  timestamptz,
    version     smallint not null,
    payload     jsonb not null,
    note        text,
    created_at  timestamptz not null,
    finished_at timestamptz not null
) partition by range (finished_at);
create index finished_jobs_id on queue.finished_jobs (id);
create index finished_jobs_kind on queue.finished_jobs (kind, finished_at);
create index finished_jobs_account on queue.finished_jobs (account_id, finished_at);
-- Only a safety net: `prune_history` makes the days ahead.
create table queue.finished_jobs_rest partition of queue.finished_jobs default;

create table queue.job_attempts (
    job_id      uuid not null,
    attempt     integer not null,
    account_id  text not null,
    worker      text,
    started_at  timestamptz not null,
    finished_at timestamptz not null,
    outcome     text not null check (outcome in ('done', 'skipped', 'later', 'retry', 'stop', 'crash', 'given_back', 'cancelled')),
    -- Secrets, phone numbers and e-mail addresses are masked before they come here.
    error       text
) partition by range (finished_at);
create index job_attempts_job on queue.job_attempts (job_id, attempt);
create table queue.job_attempts_rest partition of queue.job_attempts default;

-- What an operator has paused, and how many of a kind may run at once.
create table queue.controls (
    scope       text not null check (scope in ('kind', 'lane')),
    name        text not null,
    paused_at   timestamptz,
    running_max integer check (running_max >= 0),
    primary key (scope, name)
);

create table queue.operator_actions (
    id       uuid primary key,
    at       timestamptz not null default now(),
    who      text not null,
    action   text not null,
    why      text not null,
    job_id   uuid,
    target   jsonb not null,
    affected bigint not null
);
create index operator_actions_job on queue.operator_actions (job_id) where job_id is not null;

-- The timetable. `last_tick` is where the next look starts; `cron_ticks` is why a tick fires once.
create table queue.schedules (
    name      text primary key,
    last_tick timestamptz not null
);
create table queue.cron_ticks (
    name    text not null,
    tick_at timestamptz not null,
    job_id  uuid,
    primary key (name, tick_at)
);

grant select, insert, update, delete on all tables in schema queue to tollkeeper_service;
grant select, insert, update on queue.jobs to tollkeeper_app;

do $$
declare t text;
begin
    foreach t in array array['jobs', 'finished_jobs', 'finished_jobs_rest', 'job_attempts', 'job_attempts_rest'] loop
        execute format('alter table queue.%I enable row level security', t);
        execute format('alter table queue.%I force row level security', t);
        execute format('create policy service on queue.%I to tollkeeper_service using (true) with check (true)', t);
    end loop;
end $$;
create policy tenant on queue.jobs to tollkeeper_app
    using (account_id <> '' and account_id = current_setting('app.account_id', true))
    with check (account_id <> '' and account_id = current_setting('app.account_id', true));
