-- $10 webhooks, $11 ids, $12 kinds, $13 accounts, $14 customers, $15 lanes, $16 priorities,
-- $17 most attempts, $18 versions, $19 payloads
insert into queue.jobs
    (id, kind, key, account_id, lane, priority, attempts_max, version, payload, run_at, state)
-- In the turn of the account that the customer is, as far as that is known: one customer's flood of
-- events keeps nobody else's waiting.
select wanted.id, wanted.kind, new.id::text, coalesce(customer.account_id, wanted.account_id), wanted.lane,
       wanted.priority, wanted.attempts_max, wanted.version, wanted.payload, now(), 'ready'
from unnest($10::uuid[], $11::uuid[], $12::text[], $13::text[], $14::text[], $15::text[],
            $16::smallint[], $17::integer[], $18::smallint[], $19::jsonb[])
     as wanted (webhook_id, id, kind, account_id, customer_ref, lane, priority, attempts_max, version, payload)
join new on new.id = wanted.webhook_id
left join stripe_customers customer on customer.customer_ref = wanted.customer_ref
