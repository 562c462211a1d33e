-- Charges that stand on more than one invoice at Stripe, or on another one than their own. A draft that was deleted took
-- its lines with it.
select charge_id::text as subject, account_id,
       format('it stands on %s, and belongs on %s', string_agg(stands_on, ', ' order by stands_on),
              coalesce(max(belongs_on::text), 'none')) as what
from (
    select c.charge_id, c.account_id, c.invoice_id as belongs_on, i.invoice_id::text as stands_on
    from charges c
    join provider_calls call on call.account_id = c.account_id and call.provider = 'stripe'
     and call.kind = 'add_invoice_item' and call.state = 'done' and split_part(call.subject, ':', 1) = c.charge_id::text
    join invoices i on i.invoice_id = split_part(call.subject, ':', 2)::uuid and i.status <> 'deleted'
    where c.created_at >= (select since from scope)
) standing
group by charge_id, account_id
having count(*) > 1 or bool_or(stands_on is distinct from belongs_on::text)
