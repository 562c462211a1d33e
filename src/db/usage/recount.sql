-- Every window that the events and the counters do not agree on, of all that begin at or after $1.
with counted as (
    select account_id, 'day' as per, day_starts_at as starts_at, feature, sum(quantity)::bigint as quantity,
           sum(case when reversal_of is null then 1 else -1 end) as events
    from usage_events
    where occurred_at >= $1 and day_starts_at >= $1 and ($2::text is null or account_id = $2)
    group by 1, 3, 4
    union all
    select account_id, per, window_starts_at, feature, sum(quantity)::bigint,
           sum(case when reversal_of is null then 1 else -1 end)
    from usage_events
    where occurred_at >= $1 and window_starts_at >= $1 and per <> 'day' and ($2::text is null or account_id = $2)
    group by 1, 2, 3, 4
),
kept as (
    select account_id, per, starts_at, feature, quantity, events from usage_counters
    where starts_at >= $1 and ($2::text is null or account_id = $2)
)
select account_id, per, starts_at, feature, coalesce(kept.quantity, 0) as kept, coalesce(counted.quantity, 0) as counted
from counted full join kept using (account_id, per, starts_at, feature)
where (coalesce(kept.quantity, 0), coalesce(kept.events, 0)) <> (coalesce(counted.quantity, 0), coalesce(counted.events, 0))
order by account_id, per, starts_at, feature
limit $3
