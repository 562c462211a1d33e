-- Uses outside of all periods. Periods tile time (I2), so what lies between the first and the last lies in exactly one. What
-- comes behind a last one that is not closed yet is no offence: whoever closes it begins the next ones first.
select e.event_id::text as subject, e.account_id,
       format('a use of %s at %s lies in no period', e.feature, e.occurred_at) as what
from usage_events e
join (
    select account_id, min(starts_at) as starts_at, max(ends_at) as ends_at,
           (array_agg(closed_at order by ends_at desc))[1] is not null as is_closed
    from billing_periods group by account_id
) all_of using (account_id)
where e.occurred_at >= (select since from scope)
  and (e.occurred_at < all_of.starts_at or e.occurred_at >= all_of.ends_at and all_of.is_closed)
