-- What the providers told of calls and messages. A row is what is known by now; the callbacks themselves are webhooks.
create table calls (
    account_id  text        not null references accounts,
    -- The provider's id.
    call_ref    text        not null,
    provider    text        not null default 'twilio' check (provider in ('twilio', 'voipms')),
    -- The call that it is a leg of.
    parent_ref  text,
    -- Null: no callback said it yet.
    direction   text check (direction in ('inbound', 'outbound')),
    from_number text,
    to_number   text,
    status      text        not null,
    -- Null until it is over.
    seconds     integer check (seconds >= 0),
    began_at    timestamptz not null,
    ended_at    timestamptz,
    updated_at  timestamptz not null,
    primary key (account_id, call_ref)
);
create index calls_began on calls (account_id, began_at desc, call_ref desc);

create table messages (
    account_id  text        not null references accounts,
    message_ref text        not null,
    provider    text        not null default 'twilio' check (provider in ('twilio', 'voipms')),
    direction   text check (direction in ('inbound', 'outbound')),
    from_number text,
    to_number   text,
    -- Null: nobody told it, as of one that was sent elsewhere.
    body        text,
    segments    integer check (segments >= 0),
    media       integer     not null default 0,
    status      text        not null,
    error_code  text,
    began_at    timestamptz not null,
    updated_at  timestamptz not null,
    primary key (account_id, message_ref)
);
create index messages_began on messages (account_id, began_at desc, message_ref desc);

-- Who wants no messages from a number, and who wants them again. The last word counts.
create table opt_outs (
    account_id   text        not null references accounts,
    our_number   text        not null,
    their_number text        not null,
    is_out       boolean     not null,
    said_at      timestamptz not null,
    primary key (account_id, our_number, their_number)
);
create index opt_outs_numbers on opt_outs (our_number, their_number) where is_out;

-- Until when the provider's lists were read. Null: never.
alter table twilio_subaccounts add column phone_log_read_until timestamptz;

grant select, insert, update, delete on calls, messages, opt_outs to tollkeeper_service;
grant select on calls, messages, opt_outs to tollkeeper_app;

do $$
declare t text;
begin
    foreach t in array array['calls', 'messages', 'opt_outs'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy service on %I to tollkeeper_service using (true) with check (true)', t);
        execute format('create policy tenant on %I to tollkeeper_app
            using (account_id <> '''' and account_id = current_setting(''app.account_id'', true))
            with check (account_id <> '''' and account_id = current_setting(''app.account_id'', true))', t);
    end loop;
end $$;

-- What was kept until somebody would take it up is taken up now.
with taken as (
    update webhooks set state = 'stored'
    where provider = 'twilio' and state = 'held'
      and kind in ('incoming_call', 'call_status', 'voice_fallback', 'incoming_message', 'message_status')
    returning id, endpoint
)
insert into queue.jobs (id, kind, key, account_id, lane, attempts_max, version, payload, run_at, state)
select gen_random_uuid(), 'handle_twilio_callback', taken.id::text, coalesce(of.account_id, ''), 'default', 100, 1,
       jsonb_build_object('webhook_id', taken.id), now(), 'ready'
from taken left join twilio_subaccounts of on of.subaccount_ref = taken.endpoint;
