-- What a billing run would do, kept so that it can be carried out as it was seen. It is about all accounts, and no
-- account's own.
create table billing_plans (
    plan_id        uuid        primary key,
    -- Of what is planned: two plans of the same have the same.
    sha256         text        not null,
    planned        jsonb       not null,
    made_by        text        not null,
    made_at        timestamptz not null,
    carried_out_at timestamptz
);
grant select, insert, update on billing_plans to tollkeeper_service;
