-- Who owes what, for which time, and on which invoice it is.

alter table subscriptions
    -- What becomes of its invoices while collecting them is paused: keep_as_draft, mark_uncollectible, void.
    add column pause_behavior text,
    -- Since when it is paused itself; nothing is owed for that time.
    add column paused_since   timestamptz;

-- The time of an account, divided. The periods of one account are a chain without gap or overlap: each begins
-- where one other ends, no two where the same one does, and one alone follows none.
create table billing_periods (
    period_id        uuid primary key,
    account_id       text        not null references accounts,
    starts_at        timestamptz not null,
    ends_at          timestamptz not null check (starts_at < ends_at),
    follows          timestamptz check (follows = starts_at),
    -- What it is billed to. Null: nothing, the account has no subscription in it.
    subscription_ref text,
    customer_ref     text check ((customer_ref is null) = (subscription_ref is null)),
    tier             text        not null,
    -- What of the plan bills: the largest allowance held in it and the last rates.
    terms            jsonb       not null,
    -- Why nothing of it is to be paid.
    waiver           text check (waiver in ('trial', 'paused', 'collection_voided')),
    -- When its usage was rated first, and last. Null: its time is not over, or was not looked at.
    closed_at        timestamptz,
    rated_at         timestamptz check ((rated_at is null) = (closed_at is null)),
    created_at       timestamptz not null,
    unique (account_id, ends_at),
    unique (account_id, follows),
    foreign key (account_id, follows) references billing_periods (account_id, ends_at) deferrable initially deferred
);
create unique index billing_periods_first on billing_periods (account_id) where follows is null;
create index billing_periods_open on billing_periods (ends_at) where closed_at is null;

-- An invoice of Stripe's, as Stripe said last, or one of our own that is to be made there.
create table invoices (
    invoice_id       uuid primary key,
    account_id       text        not null references accounts,
    customer_ref     text        not null,
    -- Null: it was written by hand, ours too.
    subscription_ref text,
    -- Null until it was made.
    stripe_ref       text unique,
    -- Ours: we make it, put charges on it and finalize it. Else it is Stripe's, or somebody's.
    is_own           boolean     not null,
    -- planned: it is not there yet; then Stripe's own words, and deleted.
    status           text        not null
                     check (status in ('planned', 'draft', 'open', 'paid', 'void', 'uncollectible', 'deleted')),
    billing_reason   text,
    number           text,
    url              text,
    currency         text        not null,
    -- Minor units; what its lines come to, taxes and discounts included.
    total_minor      bigint      not null default 0,
    paid_minor       bigint      not null default 0,
    period_starts_at timestamptz,
    period_ends_at   timestamptz,
    -- When a draft ends by itself.
    finalizes_at     timestamptz,
    finalized_at     timestamptz,
    paid_at          timestamptz,
    attempts         integer     not null default 0,
    next_attempt_at  timestamptz,
    -- When its lines were last seen to be our charges and nothing else of ours.
    matched_at       timestamptz,
    created_at       timestamptz not null,
    synced_at        timestamptz not null,
    check ((status = 'planned') = (stripe_ref is null)),
    check (is_own or stripe_ref is not null)
);
create index invoices_account on invoices (account_id, created_at);
create index invoices_renewals on invoices (subscription_ref, period_ends_at) where billing_reason = 'subscription_cycle';
create index invoices_drafts on invoices (created_at) where status in ('planned', 'draft');

-- What is owed for one meter of one period. Each revision is the difference between what the whole period comes to
-- now and what it came to before, so the sum is always what it came to last: that is held by the reference of each
-- revision to the one before, with its amount.
create table charges (
    charge_id            uuid primary key,
    account_id           text        not null references accounts,
    period_id            uuid        not null references billing_periods,
    meter                text        not null,
    -- The number that a fee is for; empty for usage.
    subject              text        not null default '',
    revision             integer     not null check (revision >= 1),
    previous_revision    integer     check (previous_revision = revision - 1),
    previous_rated_minor bigint      not null,
    rated_minor          bigint      not null check (rated_minor >= 0),
    amount_minor         bigint      not null check (amount_minor = rated_minor - previous_rated_minor and amount_minor <> 0),
    -- Millionths of the meter's unit: of the whole period, and beyond what is included.
    quantity             bigint      not null,
    beyond               bigint      not null,
    currency             text        not null,
    description          text        not null,
    -- Why it is not to be paid.
    waiver               text,
    -- The invoice it is on. Null: none yet, or it was waived.
    invoice_id           uuid references invoices,
    created_at           timestamptz not null,
    check ((revision = 1) = (previous_revision is null)),
    check (revision > 1 or previous_rated_minor = 0),
    check (waiver is null or invoice_id is null),
    unique (period_id, meter, subject, revision),
    unique (period_id, meter, subject, revision, rated_minor),
    foreign key (period_id, meter, subject, previous_revision, previous_rated_minor)
        references charges (period_id, meter, subject, revision, rated_minor)
);
create index charges_account on charges (account_id, created_at);
create index invoices_unmatched on invoices (created_at) where matched_at is null;
create index charges_invoice on charges (invoice_id) where invoice_id is not null;
create index charges_unplaced on charges (account_id) where invoice_id is null and waiver is null;

-- Accounts for which nothing is billed until a person has looked.
create table billing_parks (
    account_id text primary key references accounts,
    why        text        not null check (why <> ''),
    parked_by  text        not null,
    parked_at  timestamptz not null
);
-- Periods whose amount a person has approved although it is above a cap.
create table billing_approvals (
    period_id     uuid primary key references billing_periods,
    account_id    text        not null references accounts,
    approved_by   text        not null,
    approved_at   timestamptz not null
);

-- Double entry. A transaction is there once for what it is about, its entries balance, and neither ever changes.
create table ledger_transactions (
    transaction_id uuid primary key,
    account_id     text        not null references accounts,
    -- finalized, paid, voided, …: what happened to the subject.
    kind           text        not null,
    subject        text        not null,
    currency       text        not null,
    occurred_at    timestamptz not null,
    created_at     timestamptz not null,
    unique (kind, subject)
);
create index ledger_transactions_account on ledger_transactions (account_id, occurred_at);
create table ledger_entries (
    transaction_id uuid   not null references ledger_transactions,
    line           integer not null,
    account_id     text   not null,
    -- receivable, cash, usage_revenue, subscription_revenue, …
    ledger_account text   not null,
    debit_minor    bigint not null check (debit_minor >= 0),
    credit_minor   bigint not null check (credit_minor >= 0),
    check ((debit_minor = 0) <> (credit_minor = 0)),
    primary key (transaction_id, line)
);
create index ledger_entries_account on ledger_entries (account_id, ledger_account);
create function ledger_balances() returns trigger language plpgsql as $$
begin
    if (select sum(debit_minor) - sum(credit_minor) from ledger_entries where transaction_id = new.transaction_id) <> 0 then
        raise exception 'the entries of ledger transaction % do not balance', new.transaction_id
            using errcode = 'check_violation';
    end if;
    return null;
end $$;
create constraint trigger ledger_balances after insert on ledger_entries
    deferrable initially deferred for each row execute function ledger_balances();
create function ledger_is_for_ever() returns trigger language plpgsql as $$
begin
    raise exception 'what was entered in the ledger stays; enter its reversal' using errcode = 'restrict_violation';
end $$;
create trigger ledger_transactions_stay before update or delete on ledger_transactions
    for each row execute function ledger_is_for_ever();
create trigger ledger_entries_stay before update or delete on ledger_entries
    for each row execute function ledger_is_for_ever();

-- What happened to an account's money, in words, newest of interest to its user.
create table billing_events (
    event_id     uuid primary key,
    account_id   text        not null references accounts,
    event_type   text        not null,
    -- What makes it this one and no other of its type.
    occasion     text        not null,
    amount_minor bigint,
    currency     text,
    description  text        not null,
    occurred_at  timestamptz not null,
    unique (account_id, event_type, occasion)
);
create index billing_events_account on billing_events (account_id, occurred_at);

grant select, insert, update, delete on billing_periods, invoices, charges, billing_parks, billing_approvals, billing_events
    to tollkeeper_service;
grant select, insert on ledger_transactions, ledger_entries to tollkeeper_service;
grant select on billing_periods, invoices, charges, billing_events to tollkeeper_app;
-- What a user is shown of the running period is counted from the events, as their bill is.
grant select on usage_events to tollkeeper_app;

do $$
declare t text;
begin
    foreach t in array array['billing_periods', 'invoices', 'charges', 'billing_parks', 'billing_approvals',
                             'ledger_transactions', 'ledger_entries', 'billing_events'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy service on %I to tollkeeper_service using (true) with check (true)', t);
        execute format('create policy tenant on %I to tollkeeper_app
            using (account_id <> '''' and account_id = current_setting(''app.account_id'', true))
            with check (account_id <> '''' and account_id = current_setting(''app.account_id'', true))', t);
    end loop;
end $$;
