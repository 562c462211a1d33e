-- Effects that claim too much or too little, and things at a provider that two effects have.
select kind || ' ' || subject as subject, account_id, format('it is %s and has %s', state, coalesce(ext_ref, 'nothing')) as what
from provider_calls
where created_at >= (select since from scope)
  and (state = 'done' and (ext_ref is null or done_at is null)
       or state in ('planned', 'sent') and ext_ref is not null
       or state = 'sent' and (last_sent_at is null or first_sent_at is null)
       or first_sent_at > last_sent_at)
union all
select min(kind || ' ' || subject), min(account_id), format('%s is of %s effects', ext_ref, count(*))
from provider_calls
where state = 'done' and kind in ('make_invoice', 'add_invoice_item', 'buy_number', 'create_subaccount')
group by provider, kind, ext_ref
having count(*) > 1 and max(created_at) >= (select since from scope)
