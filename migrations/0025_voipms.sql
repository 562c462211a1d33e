-- VoIP.ms tells of messages without a signature: what its list has of a number is what counts.

-- Until when the list of the number's messages was read. Null: never. Of VoIP.ms' numbers alone; Twilio's lists are of a
-- subaccount.
alter table phone_numbers add column messages_read_until timestamptz;

-- Who carries a call or a message that an app asked for; `provider_ref` is the account there.
alter table outbound add column provider text not null default 'twilio' check (provider in ('twilio', 'voipms'));

-- What was kept until somebody would take it up is taken up now.
with taken as (
    update webhooks set state = 'stored'
    where provider = 'voipms' and state = 'held' and kind = 'incoming_message'
    returning id
)
insert into queue.jobs (id, kind, key, account_id, lane, attempts_max, version, payload, run_at, state)
select gen_random_uuid(), 'handle_voipms_callback', taken.id::text, '', 'default', 100, 1,
       jsonb_build_object('webhook_id', taken.id), now(), 'ready'
from taken;
