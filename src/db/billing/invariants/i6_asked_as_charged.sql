-- Requests to Stripe that asked for something else than what our books say now; only their hash is kept.
select c.charge_id::text as subject, c.account_id, 'another line was asked for than this charge is' as what
from charges c
join invoices i on i.invoice_id = c.invoice_id
join provider_calls call on call.provider = 'stripe' and call.kind = 'add_invoice_item'
 and call.subject = c.charge_id || ':' || i.invoice_id and call.state in ('sent', 'done')
where c.created_at >= (select since from scope)
  and (call.account_id <> c.account_id
       or call.request_sha256
          <> sha256(convert_to(concat_ws(' ', i.stripe_ref, i.customer_ref, c.amount_minor, c.currency), 'UTF8')))
union all
select i.invoice_id::text, i.account_id, 'another invoice was made than this one is'
from invoices i
join provider_calls call on call.provider = 'stripe' and call.kind = 'make_invoice' and call.subject = i.invoice_id::text
 and call.state = 'done'
where i.created_at >= (select since from scope) and i.stripe_ref is not null
  and (call.ext_ref is distinct from i.stripe_ref
       or call.request_sha256 <> sha256(convert_to(concat_ws(' ', i.customer_ref, i.currency, i.payment_method_ref), 'UTF8')))
