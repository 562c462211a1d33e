-- $10 webhooks, $11 ids, $12 kinds, $13 keys, $14 accounts, $15 customers, $16 lanes, $17 priorities,
-- $18 most attempts, $19 versions, $20 payloads
insert into queue.jobs as job
    (id, kind, key, account_id, lane, priority, attempts_max, version, payload, run_at, state)
-- In the turn of the account that the customer is, as far as that is known: one customer's flood of
-- events keeps nobody else's waiting.
select distinct on (wanted.kind, wanted.key)
       wanted.id, wanted.kind, wanted.key, coalesce(customer.account_id, wanted.account_id), wanted.lane,
       wanted.priority, wanted.attempts_max, wanted.version, wanted.payload, now(), 'ready'
from unnest($10::uuid[], $11::uuid[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
            $17::smallint[], $18::integer[], $19::smallint[], $20::jsonb[])
     as wanted (webhook_id, id, kind, key, account_id, customer_ref, lane, priority, attempts_max, version, payload)
join new on new.id = wanted.webhook_id
left join stripe_customers customer on customer.customer_ref = wanted.customer_ref
order by wanted.kind, wanted.key
