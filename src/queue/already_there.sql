on conflict (kind, key) where state <> 'dead' do update
    set again = job.again or job.state = 'running',
        -- Asked for sooner than it was to run: it runs at the sooner time, but for a back-off.
        run_at = case when job.failures = 0 then least(job.run_at, excluded.run_at) else job.run_at end,
        state = case when job.state = 'waiting' and job.failures = 0 and excluded.state = 'ready'
                     then 'ready' else job.state end
