-- What upkeep is there for: history, a webhook and a notification that are old enough, a run whose worker is gone, a
-- day of usage that nobody has closed and one whose counter is wrong, an effect that claims too much, an order for a
-- number that nobody sells and a call, both left by their jobs, and a timetable that nobody has looked at.
create table queue.finished_jobs_20260101 partition of queue.finished_jobs
    for values from ('2026-01-01') to ('2026-01-02');
insert into webhooks (id, provider, event_key, kind, endpoint, headers, body, state, received_at)
values (gen_random_uuid(), 'stripe', 'evt_old', 'an old one', 'a test', '{}', '', 'ignored', now() - interval '100 days');
-- Whom mail does not reach.
insert into accounts (account_id, email) values ('ben', 'ben@example.com');
-- His number is at VoIP.ms.
insert into phone_numbers (id, account_id, provider, status, phone_number, number_ref, is_included, purchased_at)
values (gen_random_uuid(), 'ben', 'voipms', 'active', '+14155550177', 'at VoIP.ms', false, now() - interval '1 hour');
insert into notifications (notification_id, account_id, type, occasion, data, created_at)
values (gen_random_uuid(), 'ann', 'usage.threshold', 'an old one', '{}', now() - interval '100 days');
insert into queue.jobs
    (id, kind, key, account_id, lane, attempts_max, state, run_at, attempt, lease_token, lease_until,
     worker, claimed_at, started_at, version, payload)
values (gen_random_uuid(), 'reactivate_telephony', 'ann', 'ann', 'money', 50, 'running', now(), 1, gen_random_uuid(),
        now(), 'a worker that is gone', now(), now(), 1, '{"account_id": "ann"}');
insert into usage_events (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at, per,
                          window_starts_at, day_starts_at, tier)
select gen_random_uuid(), 'ann', feature, 'app', feature, 1000000, day + interval '1 hour', now(), 'day', day, day, 'repx3'
from (values ('emails'), ('canvas_scans')) used (feature), (select date_trunc('day', now()) - interval '3 days' as day) days;
insert into usage_counters (account_id, per, starts_at, feature, ends_at, day, quantity, events, closed_at)
select 'ann', 'day', day, feature, day + interval '1 day', day::date, 2000000, 1, closed_at
from (values ('emails', null), ('canvas_scans', now())) used (feature, closed_at),
     (select date_trunc('day', now()) - interval '3 days' as day) days;
insert into provider_calls (id, provider, kind, subject, account_id, request_sha256, state, ext_ref)
values (gen_random_uuid(), 'stripe', 'delete_invoice_item', 'ii_old', 'ann', '', 'done', 'ii_old');
insert into phone_numbers (id, account_id, status, phone_number, is_exact, is_included, updated_at)
values (gen_random_uuid(), 'ann', 'buying', '+12125550199', true, false, now() - interval '1 day');
delete from queue.cron_ticks;
update queue.schedules
set last_tick = last_tick - case when name in ('recount_usage', 'check_billing_fully', 'reconcile_invoices',
                                              'compare_usage_records')
                                 then interval '1 day' else interval '2 hours' end;
-- Her books are compared, although no invoice is left.
insert into findings (id, kind, subject, account_id, detail) values (gen_random_uuid(), 'invoice_drift', 'in_old', 'ann', '{}');
insert into outbound (id, account_id, channel, asked_by, request_sha256, provider_ref, is_fallback, from_number, to_number, body,
                      units, cost_micros, asked_at, expires_at, updated_at)
values (gen_random_uuid(), 'ann', 'call', 'a test', '', 'nobody', false, '+14155550100', '+14155550111', 'Hello', 1, 0,
        now() - interval '1 hour', now() - interval '50 minutes', now());
