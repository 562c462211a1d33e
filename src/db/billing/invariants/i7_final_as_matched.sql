-- Final invoices with charges that were never seen to stand there, or that are not its customer's. Of a parked account a
-- person is to look already.
select i.invoice_id::text as subject, i.account_id, 'it was finalized and its lines were not seen to be right' as what
from invoices i
where i.created_at >= (select since from scope) and i.status in ('open', 'paid', 'void', 'uncollectible')
  and i.matched_at is null and coalesce(i.finalized_at, i.synced_at) < (select now from scope) - interval '2 hours'
  and exists (select 1 from charges c where c.invoice_id = i.invoice_id)
  and not exists (select 1 from billing_parks p where p.account_id = i.account_id)
union all
select c.charge_id::text, c.account_id, format('it is on invoice %s, which is not for whom it is owed by', i.invoice_id)
from invoices i
join charges c on c.invoice_id = i.invoice_id
join billing_periods p on p.period_id = c.period_id
where i.created_at >= (select since from scope)
  and (c.account_id, c.currency, p.customer_ref) is distinct from (i.account_id, i.currency, i.customer_ref)
union all
select c.charge_id::text, c.account_id, format('invoice %s was matched without it', i.invoice_id)
from invoices i
join charges c on c.invoice_id = i.invoice_id
where i.created_at >= (select since from scope) and i.matched_at is not null
  and not exists (select 1 from provider_calls call
                  where call.provider = 'stripe' and call.kind = 'add_invoice_item' and call.state = 'done'
                    and call.subject = c.charge_id || ':' || i.invoice_id)
