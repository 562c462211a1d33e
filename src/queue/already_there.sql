on conflict (kind, key) where state <> 'dead' do update
    set again = job.again or job.state = 'running',
        -- Asked for sooner than it was to run: it runs at the sooner time, but not within a back-off, and not before
        -- a provider wants to be asked again.
        run_at = greatest(least(job.run_at, excluded.run_at), job.not_before),
        state = case when job.state = 'waiting' and excluded.state = 'ready'
                          and (job.not_before is null or job.not_before <= now())
                     then 'ready' else job.state end
