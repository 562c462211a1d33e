-- What upkeep is there for: history, a webhook and a notification that are old enough, a run whose worker is gone, and a
-- timetable that nobody has looked at for an hour.
create table queue.finished_jobs_20260101 partition of queue.finished_jobs
    for values from ('2026-01-01') to ('2026-01-02');
insert into webhooks (id, provider, event_key, kind, endpoint, headers, body, state, received_at)
values (gen_random_uuid(), 'stripe', 'evt_old', 'an old one', 'a test', '{}', '', 'ignored', now() - interval '100 days');
insert into notifications (notification_id, account_id, type, occasion, data, created_at)
values (gen_random_uuid(), 'ann', 'usage.threshold', 'an old one', '{}', now() - interval '100 days');
insert into queue.jobs
    (id, kind, key, account_id, lane, attempts_max, state, run_at, attempt, lease_token, lease_until,
     worker, claimed_at, started_at, version, payload)
values (gen_random_uuid(), 'reactivate_telephony', 'ann', 'ann', 'money', 50, 'running', now(), 1, gen_random_uuid(),
        now(), 'a worker that is gone', now(), now(), 1, '{"account_id": "ann"}');
delete from queue.cron_ticks;
update queue.schedules set last_tick = last_tick - interval '2 hours';
