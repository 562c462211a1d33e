-- By what a subscription is paid: Checkout saves the card there and not with the customer, so an invoice of our own has
-- to name it. On the invoice it is what its request names, which never changes.
alter table subscriptions add column payment_method_ref text;
alter table invoices add column payment_method_ref text;
