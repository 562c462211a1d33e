-- What the providers told us, what we asked of them, and what we hold there.

-- Every verified webhook, once, before it is acknowledged.
create table webhooks (
    id          uuid primary key,
    provider    text not null check (provider in ('stripe', 'twilio', 'voipms')),
    event_key   text not null,
    kind        text not null,
    -- Which endpoint or secret verified it; 'poll' when it was fetched because nobody delivered it.
    endpoint    text not null,
    headers     jsonb not null,
    body        bytea not null,
    -- stored: its job is to be done; handled: it was done; ignored: nothing here wants it;
    -- held: kept whole for a part of the service that takes it up later.
    state       text not null check (state in ('stored', 'handled', 'ignored', 'held')),
    received_at timestamptz not null default now(),
    handled_at  timestamptz,
    unique (provider, event_key)
);
create index webhooks_received on webhooks (received_at);

-- The journal of outside effects: one row per thing we want done once, written before the call.
create table provider_calls (
    id             uuid primary key,
    provider       text not null check (provider in ('stripe', 'twilio', 'voipms')),
    kind           text not null,
    subject        text not null,
    account_id     text not null,
    state          text not null check (state in ('planned', 'sent', 'done', 'dead')),
    -- A key is good for one epoch; a new epoch begins only after a look-up found nothing.
    epoch          integer not null default 0,
    request_sha256 bytea not null,
    -- The first request whose outcome is unknown, and the last one sent.
    first_sent_at  timestamptz,
    last_sent_at   timestamptz,
    unknown_since  timestamptz,
    -- A 5xx may be cached under the key: look before repeating.
    must_look      boolean not null default false,
    attempt        integer not null default 0,
    lease_token    uuid,
    ext_ref        text,
    answer         jsonb,
    -- A refusal that came while an earlier request of the same effect was still open. It counts only
    -- once that request is settled, because the refusal may be that request's own doing: a number is
    -- "taken" when we took it ourselves a moment ago.
    refusal        jsonb,
    last_error     text,
    created_at     timestamptz not null default now(),
    done_at        timestamptz,
    unique (provider, kind, subject)
);
create index provider_calls_account on provider_calls (account_id, provider, kind);
create index provider_calls_open on provider_calls (last_sent_at) where state in ('planned', 'sent');

-- One row per account that has, had or shall have telephony.
create table telephony (
    account_id   text primary key references accounts,
    status       text not null check (status in ('pending', 'provisioning', 'active', 'suspended', 'failed', 'released')),
    -- Counts the transitions; part of the journal's subject, so that each transition is its own effect.
    turn         integer not null default 0,
    area_code    text,
    why          text,
    suspended_at timestamptz,
    release_at   timestamptz,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now()
);

create table twilio_subaccounts (
    account_id        text primary key references accounts,
    subaccount_ref    text unique,
    friendly_name     text not null,
    status            text not null check (status in ('ordered', 'active', 'suspended', 'closed')),
    -- Sealed: key id, nonce and ciphertext; opens only for this table, column, account and row.
    auth_token_sealed text,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now(),
    check (status = 'ordered' or (subaccount_ref is not null and auth_token_sealed is not null))
);

-- A number is an order first. The candidate is written down before it is bought.
create table phone_numbers (
    id            uuid primary key,
    account_id    text not null references accounts,
    provider      text not null default 'twilio' check (provider in ('twilio', 'voipms')),
    status        text not null check (status in ('ordered', 'buying', 'configuring', 'active', 'suspended', 'releasing', 'released')),
    -- The number to buy, then the number bought, as E.164.
    phone_number  text,
    number_ref    text unique,
    friendly_name text,
    capabilities  jsonb,
    -- Bought because the plan includes it, at most one per account at a time.
    is_included   boolean not null default true,
    is_primary    boolean not null default true,
    refused       text[] not null default '{}',
    purchased_at  timestamptz,
    released_at   timestamptz,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    check (status not in ('configuring', 'active', 'suspended', 'releasing') or (phone_number is not null and number_ref is not null))
);
create unique index phone_numbers_one_included on phone_numbers (account_id) where is_included and status <> 'released';
create unique index phone_numbers_e164 on phone_numbers (phone_number) where status not in ('ordered', 'buying', 'released');
create index phone_numbers_account on phone_numbers (account_id);
