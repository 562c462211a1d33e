with asked as (
    -- One row per (kind, key): the first of a caller's own doubles stands for all of them.
    select distinct on (a.kind, a.key) a.*
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::integer[],
                $8::smallint[], $9::jsonb[], $10::timestamptz[])
         with ordinality
         as a (id, kind, key, account_id, lane, priority, attempts_max, version, payload, run_at, position)
    order by a.kind, a.key, a.position
),
stored as (
    insert into queue.jobs as job
        (id, kind, key, account_id, lane, priority, attempts_max, version, payload, run_at, state)
    select id, kind, key, account_id, lane, priority, attempts_max, version, payload,
           coalesce(run_at, now()),
           -- What is not due yet waits outside the claim's index.
           case when run_at > now() then 'waiting' else 'ready' end
    from asked
    order by kind, key
