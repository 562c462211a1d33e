-- A month is rated from the index alone: the uses of one account lie all over the table, and a month's end would read
-- a page of it for each of them.
drop index usage_events_account;
create index usage_events_account on usage_events (account_id, feature, occurred_at) include (quantity);

-- Periods that end at the same moment are taken in the order of their ids, so many at a time.
drop index billing_periods_open;
create index billing_periods_open on billing_periods (ends_at, period_id) where closed_at is null;
