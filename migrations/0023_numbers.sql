-- Several numbers for one account: the one its plan includes, those its user orders besides, and those found at Twilio.

-- What the order was stored under: the key that came with it. Null: the number itself says which order it is.
alter table phone_numbers add column order_key text;
-- The order names its number: no other one is bought in its place.
alter table phone_numbers add column is_exact boolean not null default false;
-- Where the number is to be, of an order that names none.
alter table phone_numbers add column area_code text;
-- Why the order came to nothing: the provider's code, or none_on_sale.
alter table phone_numbers add column why text;
-- Bought elsewhere, and found in the account's subaccount then.
alter table phone_numbers add column found_at timestamptz;

create unique index phone_numbers_order on phone_numbers (account_id, order_key) where order_key is not null;
-- Two orders of one account never reach for the same number.
create unique index phone_numbers_once on phone_numbers (account_id, phone_number) where status <> 'released';

-- One of the numbers in use is the primary one. What is only ordered is none, nor is what is gone.
alter table phone_numbers alter column is_primary set default false;
update phone_numbers n set is_primary = false
where is_primary
  and (status not in ('active', 'suspended')
       or exists (select from phone_numbers older where older.account_id = n.account_id and older.is_primary
                  and older.status in ('active', 'suspended') and older.id < n.id));
create unique index phone_numbers_one_primary on phone_numbers (account_id) where is_primary and status in ('active', 'suspended');

-- A number is bought only when it is asked for: the user gave the included one back, or wanted it and no other.
alter table telephony add column number_on_demand boolean not null default false;

-- An app orders numbers, gives them back and says which is the primary one; what comes of it the workers write.
grant insert, update on phone_numbers to tollkeeper_app;
