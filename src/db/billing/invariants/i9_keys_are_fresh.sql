-- Requests that were repeated under a key that Stripe may have forgotten.
select kind || ' ' || subject as subject, account_id,
       format('it was sent at %s under a key of %s', last_sent_at, first_sent_at) as what
from provider_calls
where provider = 'stripe' and kind in ('make_invoice', 'add_invoice_item')
  and coalesce(done_at, last_sent_at) >= (select since from scope)
  and last_sent_at - first_sent_at > interval '20 hours'
