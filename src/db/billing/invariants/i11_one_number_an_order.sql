-- Orders for which more than one number was bought, or another one than they have, or that are over while their number
-- was not given back.
select n.id::text as subject, n.account_id,
       format('it is %s and has %s; bought were %s', n.status, coalesce(n.number_ref, 'none'),
              string_agg(bought.ext_ref, ', ' order by bought.ext_ref)) as what
from phone_numbers n
join provider_calls bought on bought.account_id = n.account_id and bought.provider = n.provider
 and bought.kind in ('buy_number', 'order_did')
 and bought.state = 'done' and split_part(bought.subject, ':', 1) = n.id::text
left join provider_calls given_back on given_back.provider = n.provider
 and given_back.kind in ('release_number', 'cancel_did')
 and given_back.subject = n.id::text and given_back.state = 'done'
where n.updated_at >= (select since from scope)
group by n.id
having count(distinct bought.ext_ref) > 1
    or n.status in ('configuring', 'active', 'suspended', 'releasing') and bool_or(bought.ext_ref is distinct from n.number_ref)
    or n.status = 'released' and (n.released_at is null or bool_and(given_back.id is null))
