-- When the next request to a provider may leave, for all processes together. Unlogged: a limit on a rate is worth nothing
-- after a crash, and every request would wait for the disk.
create unlogged table provider_turns (
    provider text        primary key,
    next_at  timestamptz not null
);
grant select, insert, update on provider_turns to tollkeeper_service;
