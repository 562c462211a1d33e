with input as (
    select *
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[],
                $8::text[], $9::timestamptz[], $10::timestamptz[], $11::date[], $12::timestamptz[],
                $13::timestamptz[], $14::text[], $15::text[], $16::jsonb[], $17::uuid[])
        with ordinality as event (event_id, account_id, feature, source, source_id, quantity, occurred_at, per,
                                  window_starts_at, window_ends_at, day, day_starts_at, day_ends_at, tier,
                                  app_name, metadata, reversal_of, position)
),
stored as (
    insert into usage_events (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at,
                              per, window_starts_at, day_starts_at, tier, app_name, metadata, reversal_of)
    select event_id, account_id, feature, source, source_id, quantity, occurred_at, $18, per, window_starts_at,
           day_starts_at, tier, app_name, metadata, reversal_of
    from input
),
-- Every use counts in its day, and in the window its limit is for where that is another one.
counted_in as (
    select account_id, 'day' as per, day_starts_at as starts_at, feature, day_ends_at as ends_at, day, quantity,
           reversal_of, occurred_at
    from input
    union all
    select account_id, per, window_starts_at, feature, window_ends_at, null, quantity, reversal_of, occurred_at
    from input where per <> 'day'
),
counted as (
    insert into usage_counters as c (account_id, per, starts_at, feature, ends_at, day, quantity, events, last_used_at)
    select account_id, per, starts_at, feature, max(ends_at), max(day), sum(quantity)::bigint,
           sum(case when reversal_of is null then 1 else -1 end),
           max(occurred_at) filter (where reversal_of is null)
    from counted_in
    group by account_id, per, starts_at, feature
    order by account_id, per, starts_at, feature
    on conflict (account_id, per, starts_at, feature) do update
    set ends_at = excluded.ends_at,
        quantity = c.quantity + excluded.quantity,
        events = c.events + excluded.events,
        last_used_at = greatest(c.last_used_at, excluded.last_used_at),
        closed_at = null
    returning account_id, per, starts_at, feature, quantity
)
select input.position, counted.quantity
from input join counted
  on counted.account_id = input.account_id and counted.per = input.per
 and counted.starts_at = input.window_starts_at and counted.feature = input.feature
