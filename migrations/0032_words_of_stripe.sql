-- A trial may be put on a subscription that was paid for before, and a pause may end within a period.
alter table subscriptions
    add column trial_starts_at timestamptz,
    -- When it went on after its last pause. Null: it is paused, or never was.
    add column resumed_at timestamptz;
-- When Stripe said what a period's terms follow from: before its start, they are what was expected of it. Null: nobody
-- pays for it, or it is older than this column.
alter table billing_periods add column known_at timestamptz;
