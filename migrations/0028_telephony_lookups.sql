-- Who wrote with whom: both ways between a number of the account's and another one are one conversation, and its last
-- message is found without reading the others. Null: only the delivery was told of, and of which numbers is not known.
alter table messages
    add column our_number text generated always as
        (case when direction = 'inbound' then to_number else from_number end) stored,
    add column their_number text generated always as
        (case when direction = 'inbound' then from_number else to_number end) stored;
create index messages_conversation on messages (account_id, our_number, their_number, began_at desc, message_ref desc);

-- The other legs of calls that were put through, by day: they cost, and no app asked for them.
create index calls_put_through on calls (account_id, began_at) where parent_ref is not null;

-- What left from the main account's number: the list there is everybody's.
create index outbound_fallbacks on outbound (account_id, asked_at) where is_fallback;
