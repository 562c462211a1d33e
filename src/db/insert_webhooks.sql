-- $1 ids, $2 providers, $3 event keys, $4 kinds, $5 endpoints, $6 headers, $7 bodies, $8 states, $9 now
insert into webhooks (id, provider, event_key, kind, endpoint, headers, body, state, received_at)
select id, provider, event_key, kind, endpoint, headers, body, state, $9
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::bytea[], $8::text[])
     as asked (id, provider, event_key, kind, endpoint, headers, body, state)
-- A copy that another transaction is just storing is waited for, so that "not new" means "committed".
on conflict (provider, event_key) do nothing
returning id
