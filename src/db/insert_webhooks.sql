-- $1 ids, $2 providers, $3 event keys, $4 kinds, $5 endpoints, $6 headers, $7 bodies, $8 states, $9 now
insert into webhooks (id, provider, event_key, kind, endpoint, headers, body, state, received_at)
select id, provider, event_key, kind, endpoint, headers, body, state, $9
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::bytea[], $8::text[])
     with ordinality
     as asked (id, provider, event_key, kind, endpoint, headers, body, state, position)
-- In the order of their keys, so that two callers never lock each other out. A copy that another
-- transaction is just storing is waited for, so that "not new" means "committed".
order by provider, event_key, position
on conflict (provider, event_key) do nothing
returning id
