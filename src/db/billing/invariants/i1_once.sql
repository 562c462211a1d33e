-- Copies of one use. Keys are unique (`usage_keys`); the events themselves are divided into months.
select account_id || ' ' || source || ' ' || source_id || ' ' || feature as subject, account_id,
       format('this use is there %s times', count(*)) as what
from usage_events
where occurred_at >= (select since from scope)
group by account_id, source, source_id, feature
having count(*) > 1
