(select status from subscriptions where tier is not null) = 'trialing'
and (select count(*) from webhooks where received_at < now() - interval '90 days') = 0
and to_regclass('queue.finished_jobs_20260101') is null
and (select count(*) from notifications
     where type in ('usage.threshold', 'subscription.cancellation_scheduled')) = 3
and exists (select 1 from notifications
     where type = 'subscription.cancellation_scheduled' and mailed_at is not null)
and (select count(*) from billing_events where event_type in ('refund', 'dispute_won')) = 2
and exists (select 1 from notifications where type = 'invoice.upcoming')
and exists (select 1 from queue.jobs where kind = 'notify_customer' and state = 'dead')
and exists (select 1 from queue.finished_jobs where kind = 'deliver_notification' and state = 'done')
and exists (select 1 from notification_endpoints where disabled_at is not null)
and (select count(distinct kind) from queue.finished_jobs
     where kind in ('poll_stripe_events', 'prune_history', 'sweep_expired_leases',
     'sweep_provider_resources', 'reactivate_telephony', 'check_billing',
     'reconcile_invoices', 'reconcile_account', 'reconcile_phone_logs',
     'reconcile_phone_log', 'reconcile_voipms_log', 'handle_voipms_callback', 'compare_usage_records',
     'compare_usage', 'sweep_recordings')) = 15
and (select count(*) from calls where status = 'completed') = 2
and exists (select 1 from messages)
and (select count(removed_at) from recordings where analysis = 'completed') = 2
and (select count(*) from messages where provider = 'voipms' and account_id = 'ben') = 1
and (select count(*) from phone_numbers where status = 'active') = 4
and (select count(*) from outbound where state in ('sent', 'settled', 'failed')) = 4
and exists (select 1 from findings where kind = 'callback_of_nobody')
and exists (select 1 from findings where kind = 'billing_i10_broken')
