-- Count the given windows again, which are locked, and keep what was counted. Answers those that differed.
with wanted as (
    select c.account_id, c.per, c.starts_at, c.feature, c.quantity, c.events
    from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[]) as given (account_id, per, starts_at, feature)
    join usage_counters c using (account_id, per, starts_at, feature)
),
counted as (
    select wanted.*, coalesce(sum(e.quantity), 0)::bigint as right_quantity,
           coalesce(sum(case when e.reversal_of is null then 1 else -1 end) filter (where e.event_id is not null), 0)
               as right_events
    from wanted
    left join usage_events e
      on e.account_id = wanted.account_id and e.feature = wanted.feature
     and e.occurred_at >= wanted.starts_at and e.occurred_at < wanted.starts_at + interval '33 days'
     and case wanted.per when 'day' then e.day_starts_at = wanted.starts_at
                         else e.per = wanted.per and e.window_starts_at = wanted.starts_at end
    group by 1, 2, 3, 4, 5, 6
),
corrected as (
    update usage_counters c
    set quantity = counted.right_quantity, events = counted.right_events, closed_at = coalesce($5, c.closed_at)
    from counted
    where (c.account_id, c.per, c.starts_at, c.feature)
        = (counted.account_id, counted.per, counted.starts_at, counted.feature)
)
select account_id, per, starts_at, feature, quantity as kept, right_quantity as counted
from counted where (quantity, events) <> (right_quantity, right_events)
