-- What was used, how much of it counts in which window, and what is held.

-- Days begin where the account is. Null: UTC. An IANA name.
alter table accounts add column time_zone text;
-- Where Stripe counts the months of a subscription from.
alter table subscriptions add column anchor_at timestamptz;

-- Facts, never changed. A correction is a reversal that names its original. Quantities are millionths of the
-- feature's unit. A partition per month of occurrence: the month that is written to stays small, and an old one
-- is dropped whole.
create table usage_events (
    event_id         uuid        not null,
    account_id       text        not null,
    feature          text        not null,
    -- Who says so, and by which id of theirs: an app's idempotency key, a provider's id; our own where none is given.
    source           text        not null,
    source_id        text        not null,
    quantity         bigint      not null check ((quantity > 0) = (reversal_of is null) and quantity <> 0),
    occurred_at      timestamptz not null,
    received_at      timestamptz not null,
    -- The windows it was counted in. They are found once, when it comes: what is counted can be counted again.
    per              text        not null check (per in ('day', 'month', 'cycle')),
    window_starts_at timestamptz not null,
    day_starts_at    timestamptz not null,
    -- What the account had when it was reported.
    tier             text        not null,
    app_name         text,
    metadata         jsonb,
    reversal_of      uuid,
    primary key (event_id, occurred_at)
) partition by range (occurred_at);
create index usage_events_account on usage_events (account_id, feature, occurred_at);
create table usage_events_rest partition of usage_events default;
-- The months that can be reported at first; the job that prunes history makes those ahead.
do $$
declare month date;
begin
    for ago in -3 .. 2 loop
        month := date_trunc('month', now() at time zone 'utc') - make_interval(months => ago);
        execute format('create table %I partition of usage_events for values from (%L) to (%L)',
                       'usage_events_' || to_char(month, 'YYYYMMDD'),
                       month::timestamp at time zone 'utc', (month + interval '1 month')::timestamp at time zone 'utc');
        execute format('alter table %I enable row level security', 'usage_events_' || to_char(month, 'YYYYMMDD'));
        execute format('alter table %I force row level security', 'usage_events_' || to_char(month, 'YYYYMMDD'));
    end loop;
end $$;

-- The natural key of every event that came with one: unique for all time, across the months. With the first
-- answer, which its copies are given.
create table usage_keys (
    account_id     text        not null,
    source         text        not null,
    source_id      text        not null check (source_id <> '' and length(source_id) <= 600),
    -- Empty for an app's key: it stands for one request, whatever feature that names.
    feature        text        not null,
    event_id       uuid        not null,
    request_sha256 bytea       not null,
    outcome        jsonb,
    created_at     timestamptz not null,
    primary key (account_id, source, source_id, feature)
);
create index usage_keys_age on usage_keys using brin (created_at);

-- How much of a window is used: derived from the events, in the transaction that stores them. The day of every
-- use is counted beside the window its limit is for, so that statistics never read events.
create table usage_counters (
    account_id   text        not null,
    per          text        not null check (per in ('day', 'month', 'cycle')),
    starts_at    timestamptz not null,
    feature      text        not null,
    ends_at      timestamptz not null,
    -- Of a day: its date where the account is.
    day          date        check ((day is not null) = (per = 'day')),
    quantity     bigint      not null,
    events       bigint      not null,
    last_used_at timestamptz,
    -- When it was counted again after its end, and found right. A late use opens it again.
    closed_at    timestamptz,
    primary key (account_id, per, starts_at, feature)
) with (fillfactor = 70);
create index usage_counters_open on usage_counters (ends_at) where closed_at is null;
create index usage_counters_age on usage_counters using brin (starts_at);

-- What is held until it is known how much was used. A hold that is over counts no more, whether or not anybody
-- has come by to say so.
create table usage_holds (
    hold_id          uuid        primary key,
    account_id       text        not null,
    feature          text        not null,
    per              text        not null,
    window_starts_at timestamptz not null,
    quantity         bigint      not null check (quantity > 0),
    -- A user ends what they hold themselves, and nothing an app holds for them.
    made_by          text        not null check (made_by in ('app', 'user')),
    app_name         text,
    metadata         jsonb,
    state            text        not null check (state in ('held', 'settled', 'released')),
    created_at       timestamptz not null,
    expires_at       timestamptz not null,
    ended_at         timestamptz,
    settled_quantity bigint
);
create index usage_holds_live on usage_holds (account_id, feature, window_starts_at) where state = 'held';
create index usage_holds_age on usage_holds (created_at);

grant select, insert, update, delete on usage_events, usage_events_rest, usage_keys, usage_counters, usage_holds
    to tollkeeper_service;

do $$
declare t text;
begin
    foreach t in array array['usage_events', 'usage_events_rest', 'usage_keys', 'usage_counters', 'usage_holds'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy service on %I to tollkeeper_service using (true) with check (true)', t);
        execute format('create policy tenant on %I to tollkeeper_app
            using (account_id <> '''' and account_id = current_setting(''app.account_id'', true))
            with check (account_id <> '''' and account_id = current_setting(''app.account_id'', true))', t);
    end loop;
end $$;
