-- Locks a job's row for the run that has it: its attempt, or null where another run has it or none.
--
-- By the primary key, whatever the planner thinks. The table has a handful of rows at one moment, when reading all of it
-- is cheapest, and a hundred thousand at the next, and a prepared statement keeps the plan it was given.
create function queue.hold(uuid, integer, uuid) returns integer
    language plpgsql
    set enable_seqscan = off
as $$
declare
    held integer;
begin
    select attempt into held from queue.jobs
    where id = $1 and attempt = $2 and lease_token = $3 and state = 'running'
    for key share;
    return held;
end
$$;
