-- $1 ids, $2 attempts, $3 tokens, $4 outcomes, $5 notes, $6 run again at, $7 run again in
with told as materialized (
    select *
    from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::interval[])
        with ordinality as t (id, attempt, token, outcome, note, later_at, later_in, place)
),
-- Only runs that still hold their job. Whoever is missing here has lost it, and changes nothing. One by one
-- through the primary key: a join's plan could be one that was good while the table was empty. A row that an
-- open transaction has locked is passed over, and asked for again: no end waits for another, in any order.
held as materialized (
    select job.*, told.place, told.outcome, told.note as why,
           coalesce(told.later_at, now() + told.later_in) as later_at,
           case when told.outcome = 'retry' then job.failures + 1 else job.failures end as failed,
           told.outcome in ('done', 'skipped') and not job.again as is_finished,
           told.later_in is not null as is_asked_for,
           -- Asked for again while it ran: whatever the run ended in, the newer wish is carried out.
           job.again and (told.outcome in ('done', 'skipped', 'stop')
               -- It chose its time by what was true before it was asked again. (A provider's wish for patience stands.)
               or told.outcome = 'later' and told.later_at is not null
               or told.outcome = 'retry' and job.failures + 1 >= job.attempts_max) as is_once_more
    from told
    cross join lateral (
        select * from queue.jobs
        where id = told.id and attempt = told.attempt and lease_token = told.token
        for update skip locked
    ) job
),
remembered as (
    insert into queue.job_attempts (job_id, attempt, account_id, worker, started_at, finished_at, outcome, error)
    select id, attempt, account_id, worker, coalesce(started_at, claimed_at), now(), outcome, why
    from held where not is_finished
),
ended as (
    delete from queue.jobs where id = any(array(select id from held where is_finished))
),
history as (
    insert into queue.finished_jobs
        (id, kind, key, account_id, lane, priority, state, run_at, attempts_max, failures, crashes, attempt,
         worker, started_at, version, payload, note, created_at, finished_at)
    select id, kind, key, account_id, lane, priority, outcome, run_at, attempts_max, failures, crashes, attempt,
           worker, coalesce(started_at, claimed_at), version, payload, why, created_at, now()
    from held where is_finished
),
kept as (
    update queue.jobs job
    set state = case when is_once_more then 'ready'
                     when held.outcome = 'stop' or held.outcome = 'retry' and held.failed >= held.attempts_max
                     then 'dead' else 'waiting' end,
        run_at = case when is_once_more then now() else coalesce(held.later_at, held.run_at) end,
        -- What a newer wish does not shorten: a back-off, and the patience that a provider asks for. Not what a run chose.
        not_before = case when held.is_asked_for and not is_once_more then held.later_at end,
        failures = case when is_once_more then 0 else held.failed end,
        -- A run that ended of itself: its worker survived it.
        crashes = 0,
        again = false, note = held.why, lease_token = null, lease_until = null
    from held
    where job.id = held.id and not held.is_finished and job.id = any(array(select id from held where not is_finished))
)
select place, true as is_written from held
union all
-- Nothing more is asked when all were held.
select told.place, false
from told
cross join lateral (
    select from queue.jobs
    where id = told.id and attempt = told.attempt and lease_token = told.token
    offset 0
) in_use
where (select count(*) from held) < (select count(*) from told) and told.place <> all (array(select place from held))
