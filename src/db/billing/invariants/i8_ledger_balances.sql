-- Ledger transactions that do not balance, invoices of which more or less is still expected than they say, and final ones
-- that were never entered. A transaction about an invoice begins its subject with it.
select t.transaction_id::text as subject, t.account_id,
       format('its debits and credits differ by %s', sum(e.debit_minor) - sum(e.credit_minor)) as what
from ledger_transactions t
join ledger_entries e using (transaction_id)
where t.occurred_at >= (select since from scope)
group by t.transaction_id, t.account_id
having sum(e.debit_minor) <> sum(e.credit_minor) or bool_or(e.account_id <> t.account_id)
union all
select i.invoice_id::text, i.account_id, format('it is %s, and %s of it is still expected', i.status, entered.expected)
from (
    select split_part(t.subject, ':', 1) as stripe_ref, sum(e.debit_minor) - sum(e.credit_minor) as expected,
           sum(e.debit_minor - e.credit_minor) filter (where t.kind = 'finalized') as finalized,
           max(t.occurred_at) as entered_at
    from ledger_transactions t
    join ledger_entries e using (transaction_id)
    where e.ledger_account = 'receivable'
    group by split_part(t.subject, ':', 1)
) entered
join invoices i using (stripe_ref)
where entered.entered_at >= (select since from scope)
  and (entered.finalized is distinct from i.total_minor or entered.expected < least(i.total_minor, 0)
       or i.status in ('paid', 'void', 'uncollectible') and entered.expected <> 0)
union all
select i.invoice_id::text, i.account_id, format('it is %s, and not in the ledger', i.status)
from invoices i
where i.created_at >= (select since from scope) and i.status in ('open', 'paid', 'void', 'uncollectible')
  and i.total_minor <> 0 and coalesce(i.finalized_at, i.synced_at) < (select now from scope) - interval '2 hours'
  and not exists (select 1 from ledger_transactions t where t.kind = 'finalized' and t.subject = i.stripe_ref)
