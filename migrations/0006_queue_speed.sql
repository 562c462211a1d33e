-- The end of a run that finishes its job is told by the finished job itself. Only the attempts before it
-- have rows of their own: for the many jobs that succeed at once, half of what an end had to write.
alter table queue.job_attempts rename to earlier_attempts;
alter index queue.job_attempts_job rename to earlier_attempts_job;
do $$
declare part text;
begin
    for part in select relname from pg_inherits join pg_class on oid = inhrelid
                where inhparent = 'queue.earlier_attempts'::regclass loop
        execute format('alter table queue.%I rename to %I', part, replace(part, 'job_attempts', 'earlier_attempts'));
    end loop;
end $$;

-- Every run that ended.
create view queue.job_attempts as
    select job_id, attempt, account_id, worker, started_at, finished_at, outcome, error from queue.earlier_attempts
    union all
    select id, attempt, account_id, worker, started_at, finished_at, state, note from queue.finished_jobs
    where state in ('done', 'skipped');
grant select on queue.job_attempts to tollkeeper_service;

-- Lists are by id, newest first: of all, or of one account. The house's own jobs are found by the first.
drop index queue.finished_jobs_kind;
drop index queue.finished_jobs_account;
create index finished_jobs_account on queue.finished_jobs (account_id, id) where account_id <> '';

-- After a crash a job is a suspect, and suspects are claimed one at a time (`queue/claim.sql`): they have an
-- order of their own, and the others' claims do not walk over them.
drop index queue.jobs_ready;
-- All columns in one direction, so that a claim can go on behind the last job it took.
create index jobs_ready on queue.jobs (lane, account_id, (- priority), run_at, id) where state = 'ready' and crashes = 0;
create index jobs_suspect on queue.jobs (lane, run_at, id) where state = 'ready' and crashes > 0;
