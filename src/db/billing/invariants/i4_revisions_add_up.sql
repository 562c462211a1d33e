-- Meters whose revisions do not add up to what was rated last, or of which one is missing. Each revision refers to the
-- one before with its amount; this is the sum itself.
select period_id || ' ' || meter || case subject when '' then '' else ' ' || subject end as subject, account_id,
       format('%s revisions add up to %s, and %s was rated last', revisions, total, rated) as what
from (
    select period_id, account_id, meter, subject, count(*) as revisions, max(revision) as last, sum(amount_minor) as total,
           (array_agg(rated_minor order by revision desc))[1] as rated
    from charges
    where period_id in (select period_id from charges where created_at >= (select since from scope))
    group by period_id, account_id, meter, subject
) meters
where total <> rated or revisions <> last
