-- Who wrote with whom: both ways between a number of the account's and another one are one conversation, and its last
-- message is found without reading the others. Null: only the delivery was told of, and of which numbers is not known.
alter table messages
    add column our_number text generated always as
        (case when direction = 'inbound' then to_number else from_number end) stored,
    add column their_number text generated always as
        (case when direction = 'inbound' then from_number else to_number end) stored;
create index messages_conversation on messages (account_id, our_number, their_number, began_at desc, message_ref desc);
