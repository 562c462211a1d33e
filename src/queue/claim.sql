-- $1 lane, $2 how many, $3 cursor, $4 most of one account at once, $5 lease, $6 worker, $7 known kinds
with recursive
running as materialized (
    select account_id, kind, lane, count(*) as jobs from queue.jobs where state = 'running' group by 1, 2, 3
),
-- The known kinds that are neither paused nor full, and the room each has left (null: no cap).
open_kinds as materialized (
    select known.kind, control.running_max - coalesce(busy.jobs, 0) as room
    from unnest($7::text[]) as known (kind)
    left join queue.controls control on control.scope = 'kind' and control.name = known.kind
    left join (select kind, sum(jobs) as jobs from running group by kind) busy on busy.kind = known.kind
    where control.paused_at is null
      and (control.running_max is null or control.running_max > coalesce(busy.jobs, 0))
      and not exists (select 1 from queue.controls lane
                      where lane.scope = 'lane' and lane.name = $1 and lane.paused_at is not null)
),
-- One account after the other, straight from one index entry to the next account's first.
turns as (
    (select account_id from queue.jobs
     where state = 'ready' and lane = $1 and account_id >= $3 order by account_id limit 1)
    union all
    select later.account_id
    from turns
    cross join lateral (
        select account_id from queue.jobs
        where state = 'ready' and lane = $1 and account_id > turns.account_id order by account_id limit 1
    ) later
),
-- Only accounts with something to take: else a paused kind of many accounts keeps every worker walking.
accounts as materialized (
    select account_id from turns
    where exists (select 1 from queue.jobs job
                  where job.state = 'ready' and job.lane = $1 and job.account_id = turns.account_id
                    and job.kind in (select kind from open_kinds))
    limit $2
),
share as materialized (select ceil($2::numeric / greatest(count(*), 1))::bigint as jobs from accounts),
candidates as materialized (
    select job.id, job.kind, job.place
    from accounts
    left join (select account_id, sum(jobs) as jobs from running where lane = $1 group by 1) busy using (account_id)
    cross join lateral (
        select mine.id, mine.kind,
               row_number() over (order by mine.priority desc, mine.run_at, mine.id) as place
        from (
            select id, kind, priority, run_at from queue.jobs
            where state = 'ready' and lane = $1 and account_id = accounts.account_id
              and kind in (select kind from open_kinds)
            order by priority desc, run_at, id
            -- The house's own work has no account to be fair to.
            limit least((select jobs from share),
                        case when accounts.account_id = '' then $2
                             else greatest($4 - coalesce(busy.jobs, 0), 0) end)
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
    update queue.jobs job
    set state = 'running', attempt = job.attempt + 1, lease_token = gen_random_uuid(),
        lease_until = now() + $5, worker = $6, claimed_at = now(), started_at = null, again = false
    from chosen
    where job.id = chosen.id and job.state = 'ready'
    returning job.id, job.kind, job.key, job.account_id, job.version, job.payload,
              job.attempt, job.lease_token, job.failures, job.priority, job.run_at
)
select (select count(*) from accounts) as visited, (select max(account_id) from accounts) as last_account, claimed.*
from (select 1) as one
left join claimed on true
order by claimed.priority desc, claimed.run_at, claimed.id
