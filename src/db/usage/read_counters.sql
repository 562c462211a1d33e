select wanted.position, coalesce(c.quantity, 0) as counted, coalesce(h.quantity, 0)::bigint as held
from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[])
    with ordinality as wanted (account_id, per, starts_at, feature, position)
left join lateral (
    select quantity from usage_counters
    where account_id = wanted.account_id and per = wanted.per and starts_at = wanted.starts_at
      and feature = wanted.feature
    limit 1
) c on true
left join lateral (
    select sum(quantity) as quantity from usage_holds
    where account_id = wanted.account_id and feature = wanted.feature and per = wanted.per
      and window_starts_at = wanted.starts_at and state = 'held' and expires_at > now() + $5
) h on true
