-- Keys of the apps that call the API. The key itself is shown once and never stored.
create table api_keys (
    id           uuid primary key,
    name         text not null,
    -- The first characters, to tell keys apart in a list.
    prefix       text not null,
    key_sha256   bytea not null unique,
    scopes       text[] not null,
    created_at   timestamptz not null default now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);

-- Each by name: other owners may have tables in this schema, and those are not ours to grant.
grant select, insert, update, delete on accounts, stripe_customers, subscriptions, findings, webhooks, provider_calls,
    telephony, twilio_subaccounts, phone_numbers, api_keys to tollkeeper_service;
grant select, insert, update on accounts, telephony to tollkeeper_app;
grant select on stripe_customers, subscriptions, phone_numbers to tollkeeper_app;
-- The sealed token is none of an app's business.
grant select (account_id, subaccount_ref, friendly_name, status, created_at, updated_at) on twilio_subaccounts to tollkeeper_app;

-- Every table with an account_id shows an app the rows of its own account, and nobody else's.
do $$
declare t text;
begin
    foreach t in array array['accounts', 'stripe_customers', 'subscriptions', 'findings',
                             'provider_calls', 'telephony', 'twilio_subaccounts', 'phone_numbers'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy service on %I to tollkeeper_service using (true) with check (true)', t);
        execute format('create policy tenant on %I to tollkeeper_app
            using (account_id <> '''' and account_id = current_setting(''app.account_id'', true))
            with check (account_id <> '''' and account_id = current_setting(''app.account_id'', true))', t);
    end loop;
end $$;
