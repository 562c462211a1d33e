-- Until when a provider asked for patience: no wish makes the job run before.
alter table queue.jobs add column not_before timestamptz;
