-- Calls and messages that apps asked for. The row is the wish, written before anything is asked of the provider; what
-- became of it is in `calls` and `messages`, under the provider's id.
create table outbound (
    id              uuid        primary key,
    account_id      text        not null references accounts,
    channel         text        not null check (channel in ('call', 'message')),
    -- Who asked, for whoever asks later.
    asked_by        text        not null,
    -- Among those of its asker. Null: the same wish again within a minute is this one.
    idempotency_key text,
    request_sha256  bytea       not null,
    -- The account at the provider that carries it: the subaccount, or the main account where that is switched on.
    provider_ref    text        not null,
    is_fallback     boolean     not null,
    from_number     text        not null,
    to_number       text        not null,
    -- What is said, or written.
    body            text        not null,
    is_recorded     boolean     not null default false,
    metadata        jsonb,
    -- What of the plan is held for it.
    hold_id         uuid,
    -- The minutes it may last, or the segments it has.
    units           integer     not null check (units > 0),
    -- At list prices, in millionths of a US dollar: what it may cost, and once that is known what it did.
    cost_micros     bigint      not null check (cost_micros >= 0),
    -- asked, sent (the provider has it), settled (it is known what it took) or failed (it was never sent).
    state           text        not null default 'asked' check (state in ('asked', 'sent', 'settled', 'failed')),
    ext_ref         text,
    -- The provider's code, or a word of ours.
    error_code      text,
    asked_at        timestamptz not null,
    expires_at      timestamptz not null,
    updated_at      timestamptz not null,
    check (state <> 'sent' or ext_ref is not null)
);
create unique index outbound_keys on outbound (account_id, idempotency_key) where idempotency_key is not null;
create unique index outbound_refs on outbound (account_id, ext_ref) where ext_ref is not null;
create index outbound_wishes on outbound (account_id, request_sha256, asked_at);
create index outbound_asked on outbound (account_id, from_number, to_number, id) where state = 'asked';

-- What the rows of one day (UTC) come to. Never more than the cap, but for what was told later.
create table outbound_spend (
    account_id text   not null references accounts,
    day        date   not null,
    micros     bigint not null,
    primary key (account_id, day)
);

-- What the service itself holds, for a call or a message on its way.
alter table usage_holds drop constraint usage_holds_made_by_check,
    add constraint usage_holds_made_by_check check (made_by in ('app', 'user', 'outbound'));

grant select, insert, update, delete on outbound, outbound_spend to tollkeeper_service;
grant select on outbound, outbound_spend to tollkeeper_app;

do $$
declare t text;
begin
    foreach t in array array['outbound', 'outbound_spend'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy service on %I to tollkeeper_service using (true) with check (true)', t);
        execute format('create policy tenant on %I to tollkeeper_app
            using (account_id <> '''' and account_id = current_setting(''app.account_id'', true))
            with check (account_id <> '''' and account_id = current_setting(''app.account_id'', true))', t);
    end loop;
end $$;
