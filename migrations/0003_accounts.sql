-- Who is a customer, what they subscribed to, and what of it is wrong.
-- An account id is the app's own user id: text, never interpreted.
create table accounts (
    account_id text primary key check (account_id <> '' and length(account_id) <= 200),
    email      text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index accounts_email on accounts (lower(email)) where email is not null;

-- An account may have a Stripe customer in more than one Stripe account.
create table stripe_customers (
    customer_ref text primary key,
    account_id   text not null references accounts,
    deleted_at   timestamptz,
    created_at   timestamptz not null default now()
);
create index stripe_customers_account on stripe_customers (account_id);

-- What Stripe said last. Written only from a refetched object.
create table subscriptions (
    subscription_ref     text primary key,
    account_id           text not null references accounts,
    customer_ref         text not null,
    status               text not null,
    -- A tier of the catalogue, from the price alone. Null: no price of it was ever known.
    tier                 text,
    price_ref            text,
    period_starts_at     timestamptz,
    period_ends_at       timestamptz,
    trial_ends_at        timestamptz,
    cancel_at_period_end boolean not null default false,
    canceled_at          timestamptz,
    ended_at             timestamptz,
    -- Since when payment is missing; the grace time counts from here.
    past_due_since       timestamptz,
    created_at           timestamptz not null,
    synced_at            timestamptz not null
);
create index subscriptions_account on subscriptions (account_id);
create index subscriptions_customer on subscriptions (customer_ref);

-- What a person must look at. One open finding per (kind, subject).
create table findings (
    id         uuid primary key,
    kind       text not null,
    subject    text not null,
    account_id text not null default '',
    detail     jsonb not null,
    opened_at  timestamptz not null default now(),
    closed_at  timestamptz,
    closed_why text
);
create unique index findings_open on findings (kind, subject) where closed_at is null;
