-- A trial may be put on a subscription that was paid for before, and a pause may end within a period.
alter table subscriptions
    add column trial_starts_at timestamptz,
    -- The last pause that is over. One that goes on is `paused_since`.
    add column pause_began_at timestamptz,
    add column pause_ended_at timestamptz;
-- When Stripe said what a period's terms follow from: before its start, they are what was expected of it. Null: nobody
-- pays for it, or it is older than this column.
alter table billing_periods add column known_at timestamptz;
