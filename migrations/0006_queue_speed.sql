-- The end of a run that finishes its job is told by the finished job itself. Only the attempts before it
-- have rows of their own: for the many jobs that succeed at once, half of what an end had to write.
comment on table queue.job_attempts is 'Attempts that did not finish their job; the last one is in finished_jobs.';

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
