-- A claim writes a new entry into each of these, and the old one is dead at once. Two entries of one key are not
-- packed into one: the packing is undone by the next claim. Measured: a tenth of what a claim costs.
alter index queue.jobs_pkey set (deduplicate_items = off);
alter index queue.jobs_live_key set (deduplicate_items = off);
alter index queue.jobs_running set (deduplicate_items = off);
