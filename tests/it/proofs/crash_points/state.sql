select line from (
    select 1 as part, format('%s: telephony is %s in turn %s', account_id, status, turn) as line from telephony
    union all
    select 2, format('%s: a subscription of %s is %s', account_id, tier, status) from subscriptions
    union all
    select 3, format('%s: its subaccount is %s', account_id, status) from twilio_subaccounts
    union all
    select 4, format('%s: its number is %s', account_id, status) from phone_numbers
    union all
    select 5, format('%s webhooks %s are %s', count(*), kind, state) from webhooks group by kind, state
    union all
    select 6, format('%s runs of handle_stripe_event ended %s', count(*), state)
    from queue.finished_jobs where kind = 'handle_stripe_event' group by state
    union all
    select 7, format('%s of %s is done', kind, subject) from provider_calls
    where state = 'done' and kind in ('create_subaccount', 'set_subaccount_status')
    union all
    select 7, format('%s %s are done', count(*), kind) from provider_calls
    where state = 'done' and kind in ('buy_number', 'release_number', 'order_did', 'cancel_did') group by kind
    union all
    select 8, format('the job %s is %s: %s', kind, state, note) from queue.jobs
    -- Who asked for a release that was not wanted any more: the real clock may have ticked meanwhile.
    where kind not in ('sweep_provider_resources', 'notify_customer')
    union all
    -- An announcement whose end was not written is made once more: what no mail server takes is refused twice.
    select distinct 8, format('the job %s is %s: %s', kind, state, note) from queue.jobs where kind = 'notify_customer'
    union all
    select 9, format('the finding %s about %s is open', kind,
                     case when kind in ('unreadable_event', 'notification_endpoint_gone', 'usage_counter_wrong') then '…' else subject end)
    from findings where closed_at is null
    union all
    -- When a plan became smaller is told to the second.
    select 10, format('%s was announced to %s: %s%s', type, account_id,
                      case when type in ('usage.threshold', 'subscription.cancellation_scheduled') then occasion else '…' end,
                      case when mailed_at is null then '' else ', and mailed' end) from notifications
    union all
    select 11, format('an endpoint is %s', coalesce('disabled: ' || disabled_why, 'enabled')) from notification_endpoints
    union all
    select 12, format('of %s %s is counted, %s', feature, quantity,
                      case when closed_at is null then 'which may change' else 'for good' end)
    from usage_counters
    union all
    select 13, format('%s was told of %s %s times', account_id, event_type, count(*))
    from billing_events group by account_id, event_type
    union all
    select 13, format('%s was called: %s, %s seconds', account_id, status, seconds) from calls
    union all
    select 13, format('%s asked for a %s: it is %s, and may cost %s', account_id, channel, state, cost_micros) from outbound
    union all
    select 13, format('%s spends %s in a day', account_id, micros) from outbound_spend
    union all
    select 13, format('%s of %s are %s for %s', quantity, feature, state, made_by) from usage_holds
    union all
    select 13, format('a recording of %s is %s and %s: %s, %s; %s answers are kept', account_id, status,
                      case when removed_at is null then 'there' else 'gone' end, transcript, analysis,
                      (select count(*) from speech_answers)) from recordings
    union all
    select 13, format('%s transcriptions are metered', count(*)) from usage_events where feature = 'transcriptions'
    union all
    select 14, format('%s: %s comes to %s', account_id, ledger_account, sum(debit_minor - credit_minor))
    from ledger_entries group by account_id, ledger_account
) lines
order by part, line
