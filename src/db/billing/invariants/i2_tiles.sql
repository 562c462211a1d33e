-- Neighbours that do not touch. That a period follows another one is a reference; that no two overlap is said here.
select period_id::text as subject, account_id,
       format('a period ends at %s and the next begins at %s', ends_at, next_starts_at) as what
from (
    select period_id, account_id, ends_at,
           lead(starts_at) over (partition by account_id order by starts_at, ends_at) as next_starts_at
    from billing_periods where ends_at >= (select since from scope)
) neighbours
where next_starts_at <> ends_at
