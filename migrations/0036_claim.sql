-- The claim of a lane's jobs, in one round trip: it waits for its turn, and only then looks.
--
-- A client that waited for the turn itself needed three, and one that was stopped in between held the turn of
-- every worker. Measured: a tenth of the time that it took to drain a queue.
create function queue.claim(
    in_lane text,
    want bigint,
    -- The account to begin with, and behind which of its jobs.
    after_account text,
    after_urgency smallint,
    after_run_at timestamptz,
    after_id uuid,
    -- Most of one account at once.
    account_max bigint,
    lease interval,
    by_worker text,
    known_kinds text[],
    -- Whether a suspect is to be the first.
    suspect_first boolean,
    -- Of this claim: with the attempt it is the fence of each run.
    token uuid
)
returns table (
    -- On every row, and on one of its own when nothing was taken (its id is null).
    visited bigint,
    last_account text,
    is_suspect_ready boolean,
    id uuid,
    kind text,
    key text,
    account_id text,
    version smallint,
    payload jsonb,
    attempt integer,
    lease_token uuid,
    failures integer,
    crashes integer,
    priority smallint,
    run_at timestamptz
)
language plpgsql
as $$
#variable_conflict use_column
begin
    -- The claim waits for no disk. What a run makes durable comes after it in the log, so no effect outlives
    -- its claim; and a claim that a crash of the server undoes takes the fence of its run away with it.
    perform set_config('synchronous_commit', 'off', true), set_config('lock_timeout', '10s', true);
    -- Claims of a lane take turns: two at once would both see the same room below a cap. The statement after
    -- this one sees what the claim before has taken.
    perform pg_advisory_xact_lock(
        7238113, case in_lane when 'money' then 1 when 'voice' then 2 when 'default' then 3 else 4 end
    );
    return query
    with recursive
    -- The known kinds that are neither paused nor full, and the room each has left (null: no cap).
    open_kinds as materialized (
        select known.kind, control.running_max - busy.jobs as room
        from unnest(known_kinds) as known (kind)
        left join queue.controls control on control.scope = 'kind' and control.name = known.kind
        -- Counted for capped kinds only.
        cross join lateral (
            select case when control.running_max is not null
                        then (select count(*) from queue.jobs where state = 'running' and kind = known.kind) end as jobs
        ) busy
        where control.paused_at is null
          and (control.running_max is null or control.running_max > busy.jobs)
          and not exists (select 1 from queue.controls lane
                          where lane.scope = 'lane' and lane.name = in_lane and lane.paused_at is not null)
    ),
    known as materialized (select array(select kind from open_kinds) as kinds),
    -- One account after the other, straight from one index entry to the next account's first. The first account
    -- goes on where the last claim ended: what is before that is mostly the dead entries of jobs already done.
    turns as (
        (select job.account_id,
                case when job.account_id = after_account then after_urgency else smallint '-32768' end as urgency,
                case when job.account_id = after_account then after_run_at else '-infinity' end as run_at,
                case when job.account_id = after_account then after_id else '00000000-0000-0000-0000-000000000000' end as id
         from queue.jobs job
         where job.state = 'ready' and job.crashes = 0 and job.lane = in_lane
           -- A lane that is paused is not walked.
           and cardinality((select kinds from known)) > 0
           and (job.account_id, (- job.priority), job.run_at, job.id) > (after_account, after_urgency, after_run_at, after_id)
         order by job.account_id, (- job.priority), job.run_at, job.id limit 1)
        union all
        select later.account_id, smallint '-32768', '-infinity', '00000000-0000-0000-0000-000000000000'
        from turns
        cross join lateral (
            select account_id from queue.jobs
            where state = 'ready' and crashes = 0 and lane = in_lane and account_id > turns.account_id
            order by account_id limit 1
        ) later
    ),
    -- Only accounts with something to take: else a paused kind of many accounts keeps every worker walking.
    accounts as materialized (
        select turns.*
        from turns
        cross join lateral (
            select 1 from queue.jobs
            where state = 'ready' and crashes = 0 and lane = in_lane and account_id = turns.account_id
              and ((- priority), run_at, id) > (turns.urgency, turns.run_at, turns.id)
              and kind = any((select kinds from known)::text[])
            limit 1
        ) waiting
        limit want
    ),
    share as materialized (select ceil(want::numeric / greatest(count(*), 1))::bigint as jobs from accounts),
    -- A job whose last run ended with its worker: perhaps it was the cause, perhaps it was only there.
    suspect as materialized (
        select id, kind
        from queue.jobs job
        where suspect_first and state = 'ready' and crashes > 0 and lane = in_lane
          and kind = any((select kinds from known)::text[])
          and (account_id = ''
               or account_max > (select count(*) from queue.jobs busy
                        where busy.state = 'running' and busy.account_id = job.account_id and busy.lane = in_lane))
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
                where state = 'ready' and crashes = 0 and lane = in_lane and account_id = accounts.account_id
                  and ((- priority), run_at, id) > (accounts.urgency, accounts.run_at, accounts.id)
                  and kind = any((select kinds from known)::text[])
                order by (- priority), run_at, id
                -- The house's own work has no account to be fair to.
                limit case when accounts.account_id = '' then (select jobs from share)
                           else least((select jobs from share),
                                      greatest(account_max - (select count(*) from queue.jobs
                                                     where state = 'running' and account_id = accounts.account_id
                                                       and lane = in_lane), 0)) end
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
        limit want
    ),
    claimed as (
        -- A suspect's start is written at its gate: only who passed it is charged with the next crash.
        update queue.jobs
        set state = 'running', attempt = attempt + 1, lease_token = token,
            lease_until = now() + lease, worker = by_worker, claimed_at = now(),
            started_at = case when crashes = 0 then now() end, again = false
        where id = any(array(select id from chosen))
        returning id, kind, key, account_id, version, payload, attempt, lease_token, failures, crashes, priority, run_at
    )
    select (select count(*) from accounts) as visited, (select max(account_id) from accounts) as last_account,
           not suspect_first and exists (select 1 from queue.jobs
                               where state = 'ready' and crashes > 0 and lane = in_lane
                                 and kind = any((select kinds from known)::text[])) as is_suspect_ready,
           claimed.*
    from (select 1) as one
    left join claimed on true
    order by claimed.crashes desc, claimed.priority desc, claimed.run_at, claimed.id;
end
$$;
