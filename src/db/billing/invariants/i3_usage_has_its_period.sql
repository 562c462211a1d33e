-- Uses outside of all periods. Periods tile time (I2), so what lies between the first and the last lies in exactly one.
-- The period that runs is begun by the first job that looks: what is new may be ahead of it.
select e.event_id::text as subject, e.account_id,
       format('a use of %s at %s lies in no period', e.feature, e.occurred_at) as what
from usage_events e
join (select account_id, min(starts_at) as starts_at, max(ends_at) as ends_at from billing_periods group by account_id) all_of
  using (account_id)
where e.occurred_at >= (select since from scope)
  and greatest(e.occurred_at, e.received_at) < (select now from scope) - interval '6 hours'
  and (e.occurred_at < all_of.starts_at or e.occurred_at >= all_of.ends_at)
