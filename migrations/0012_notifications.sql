-- What happened, told to the apps that asked to be told (Standard Webhooks 1.0).

-- Where an app listens. It is the app's own and no account's: it is told about all of them.
create table notification_endpoints (
    endpoint_id            uuid primary key,
    url                    text not null check (url <> ''),
    secret_sealed          text not null,
    -- The secret before the last rotation; it signs beside the new one until then.
    previous_secret_sealed text,
    previous_until         timestamptz,
    -- Null: every type there is and ever will be.
    types                  text[] check (cardinality(types) > 0),
    created_at             timestamptz not null default now(),
    disabled_at            timestamptz,
    disabled_why           text,
    check ((previous_secret_sealed is null) = (previous_until is null)),
    check ((disabled_at is null) = (disabled_why is null))
);

-- '' is the account of what concerns none, such as a trial of an endpoint.
create table notifications (
    notification_id uuid primary key,
    account_id      text not null,
    type            text not null check (type <> ''),
    -- What makes it this one and no other of its type, such as the period and the threshold.
    occasion        text not null check (occasion <> ''),
    data            jsonb not null,
    created_at      timestamptz not null default now(),
    unique (account_id, type, occasion)
);
create index notifications_created on notifications (created_at);

grant select, insert, update, delete on notification_endpoints, notifications to tollkeeper_service;

alter table notifications enable row level security;
alter table notifications force row level security;
create policy service on notifications to tollkeeper_service using (true) with check (true);
create policy tenant on notifications to tollkeeper_app
    using (account_id <> '' and account_id = current_setting('app.account_id', true))
    with check (account_id <> '' and account_id = current_setting('app.account_id', true));
