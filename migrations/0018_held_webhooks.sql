-- What is held back is looked for at every poll.
create index webhooks_held on webhooks (received_at) where state = 'held';
