-- What an account wants of its numbers, and where one number differs: a document each (`jobs/telephony/settings.rs`).
create table phone_system_config (
    account_id   text        not null references accounts,
    -- Whose settings they are, E.164. Empty: the account's, for every number without its own.
    phone_number text        not null,
    config       jsonb       not null,
    updated_at   timestamptz not null,
    primary key (account_id, phone_number)
);

-- What the provider takes for it, in millionths of a dollar. Null: it has not said so yet.
alter table calls add column cost_micros bigint check (cost_micros >= 0);
alter table messages add column cost_micros bigint check (cost_micros >= 0);

grant select, insert, update, delete on phone_system_config to tollkeeper_service;
grant select, insert, update on phone_system_config to tollkeeper_app;

alter table phone_system_config enable row level security;
alter table phone_system_config force row level security;
create policy service on phone_system_config to tollkeeper_service using (true) with check (true);
create policy tenant on phone_system_config to tollkeeper_app
    using (account_id <> '' and account_id = current_setting('app.account_id', true))
    with check (account_id <> '' and account_id = current_setting('app.account_id', true));
