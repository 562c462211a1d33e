-- $1 ids, $2 attempts, $3 tokens, $4 outcomes, $5 notes, $6 run again at, $7 run again in
with told as (
    select t.*
    from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::interval[])
        as t (id, attempt, token, outcome, note, later_at, later_in)
    cross join lateral (select kind, key from queue.jobs where id = t.id offset 0) job
    -- As an enqueue locks them: two that meet never lock each other out.
    order by job.kind, job.key
),
-- Only runs that still hold their job. Whoever is missing here has lost it, and changes nothing. One by one
-- through the primary key: a join's plan could be one that was good while the table was empty.
held as materialized (
    select job.*, told.outcome, told.note as why, coalesce(told.later_at, now() + told.later_in) as later_at,
           told.later_at is not null as is_by_choice,
           case when told.outcome = 'retry' then job.failures + 1 else job.failures end as failed,
           told.outcome in ('done', 'skipped') and not job.again as is_finished,
           -- Asked for again while it ran: whatever the run ended in, the newer wish is carried out.
           job.again and (told.outcome in ('done', 'skipped', 'stop')
               -- It chose its time by what was true before it was asked again. (A provider's wish for patience stands.)
               or told.outcome = 'later' and told.later_at is not null
               or told.outcome = 'retry' and job.failures + 1 >= job.attempts_max) as is_once_more
    from told
    cross join lateral (
        select * from queue.jobs
        where id = told.id and attempt = told.attempt and lease_token = told.token
        for update
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
once_more as (
    update queue.jobs job
    set state = 'ready', run_at = now(), again = false, failures = 0, crashes = 0, note = held.why,
        lease_token = null, lease_until = null
    from held
    where job.id = held.id and job.id = any(array(select id from held where is_once_more))
),
postponed as (
    update queue.jobs job
    set state = case when held.outcome = 'stop' or held.outcome = 'retry' and held.failed >= held.attempts_max
                     then 'dead' else 'waiting' end,
        run_at = coalesce(held.later_at, held.run_at),
        failures = held.failed,
        -- A run that ended of itself: its worker survived it.
        crashes = 0,
        again = false, note = held.why, lease_token = null, lease_until = null
    from held
    where job.id = held.id
      and job.id = any(array(select id from held where not is_finished and not is_once_more))
)
select lease_token from held
