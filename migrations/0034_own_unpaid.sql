-- Invoices of our own that were made out and not paid: few among all, and looked for at every sweep.
create index invoices_own_open on invoices (finalized_at) where is_own and status = 'open';
