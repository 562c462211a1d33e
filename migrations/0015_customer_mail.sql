-- When the mail server accepted the mail about it. Null: nothing was mailed, or nobody knows yet.
alter table notifications add column mailed_at timestamptz;
