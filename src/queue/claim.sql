-- $1 lane, $2 how many, $3 account to begin with and $4, $5, $6 behind which of its jobs, $7 most of one account at
-- once, $8 lease, $9 worker, $10 known kinds, $11 whether a suspect is to be the first,
-- $12 the token of this claim
with recursive
-- The known kinds that are neither paused nor full, and the room each has left (null: no cap).
open_kinds as materialized (
    select known.kind, control.running_max - busy.jobs as room
    from unnest($10::text[]) as known (kind)
    left join queue.controls control on control.scope = 'kind' and control.name = known.kind
    -- Counted for capped kinds only.
    cross join lateral (
        select case when control.running_max is not null
                    then (select count(*) from queue.jobs where state = 'running' and kind = known.kind) end as jobs
    ) busy
    where control.paused_at is null
      and (control.running_max is null or control.running_max > busy.jobs)
      and not exists (select 1 from queue.controls lane
                      where lane.scope = 'lane' and lane.name = $1 and lane.paused_at is not null)
),
known as materialized (select array(select kind from open_kinds) as kinds),
-- One account after the other, straight from one index entry to the next account's first. The first account
-- goes on where the last claim ended: what is before that is mostly the dead entries of jobs already done.
turns as (
    (select job.account_id, case when job.account_id = $3 then $4 else smallint '-32768' end as urgency,
            case when job.account_id = $3 then $5 else '-infinity' end as run_at,
            case when job.account_id = $3 then $6 else '00000000-0000-0000-0000-000000000000' end as id
     from queue.jobs job
     where job.state = 'ready' and job.crashes = 0 and job.lane = $1
       -- A lane that is paused is not walked.
       and cardinality((select kinds from known)) > 0
       and (job.account_id, (- job.priority), job.run_at, job.id) > ($3, $4, $5, $6)
     order by job.account_id, (- job.priority), job.run_at, job.id limit 1)
    union all
    select later.account_id, smallint '-32768', '-infinity', '00000000-0000-0000-0000-000000000000'
    from turns
    cross join lateral (
        select account_id from queue.jobs
        where state = 'ready' and crashes = 0 and lane = $1 and account_id > turns.account_id
        order by account_id limit 1
    ) later
),
-- Only accounts with something to take: else a paused kind of many accounts keeps every worker walking.
accounts as materialized (
    select turns.*
    from turns
    cross join lateral (
        select 1 from queue.jobs
        where state = 'ready' and crashes = 0 and lane = $1 and account_id = turns.account_id
          and ((- priority), run_at, id) > (turns.urgency, turns.run_at, turns.id)
          and kind = any((select kinds from known)::text[])
        limit 1
    ) waiting
    limit $2
),
share as materialized (select ceil($2::numeric / greatest(count(*), 1))::bigint as jobs from accounts),
-- A job whose last run ended with its worker: perhaps it was the cause, perhaps it was only there.
suspect as materialized (
    select id, kind
    from queue.jobs job
    where $11 and state = 'ready' and crashes > 0 and lane = $1 and kind = any((select kinds from known)::text[])
      and (account_id = ''
           or $7 > (select count(*) from queue.jobs busy
                    where busy.state = 'running' and busy.account_id = job.account_id and busy.lane = $1))
    order by run_at, id
    limit 1
    for update skip locked
),
candidates as materialized (
    select id, kind, 0 as place from suspect
    union all
    select job.id, job.kind, job.place
    from accounts
    cross join lateral (
        select mine.id, mine.kind, row_number() over (order by mine.urgency, mine.run_at, mine.id) as place
        from (
            select id, kind, (- priority) as urgency, run_at from queue.jobs
            where state = 'ready' and crashes = 0 and lane = $1 and account_id = accounts.account_id
              and ((- priority), run_at, id) > (accounts.urgency, accounts.run_at, accounts.id)
              and kind = any((select kinds from known)::text[])
            order by (- priority), run_at, id
            -- The house's own work has no account to be fair to.
            limit case when accounts.account_id = '' then (select jobs from share)
                       else least((select jobs from share),
                                  greatest($7 - (select count(*) from queue.jobs
                                                 where state = 'running' and account_id = accounts.account_id
                                                   and lane = $1), 0)) end
            for update skip locked
        ) mine
    ) job
),
chosen as (
    select ranked.id
    from (select id, kind, place, row_number() over (partition by kind order by place, id) as of_kind
          from candidates) ranked
    join open_kinds using (kind)
    where open_kinds.room is null or ranked.of_kind <= open_kinds.room
    order by ranked.place, ranked.id
    limit $2
),
claimed as (
    -- A suspect's start is written at its gate: only who passed it is charged with the next crash.
    update queue.jobs
    set state = 'running', attempt = attempt + 1, lease_token = $12,
        lease_until = now() + $8, worker = $9, claimed_at = now(),
        started_at = case when crashes = 0 then now() end, again = false
    where id = any(array(select id from chosen))
    returning id, kind, key, account_id, version, payload, attempt, lease_token, failures, crashes, priority, run_at
)
select (select count(*) from accounts) as visited, (select max(account_id) from accounts) as last_account,
       not $11 and exists (select 1 from queue.jobs
                           where state = 'ready' and crashes > 0 and lane = $1
                             and kind = any((select kinds from known)::text[])) as is_suspect_ready,
       claimed.*
from (select 1) as one
left join claimed on true
order by claimed.crashes desc, claimed.priority desc, claimed.run_at, claimed.id
