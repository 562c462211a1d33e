-- Telephony under the names that the replaced services had for it, for programs that read their tables: to be looked at
-- and never written to. A schema of their own, since some of the names are those of our own tables. They show the rows
-- of the account named by `app.account_id`, and none when nothing is named.
create schema legacy;

create view legacy.phone_numbers as
select n.id, n.phone_number::varchar, n.friendly_name,
       jsonb_build_object('voice', coalesce(n.capabilities -> 'voice', 'false'),
                          'SMS', coalesce(n.capabilities -> 'SMS', n.capabilities -> 'sms', 'false'),
                          'MMS', coalesce(n.capabilities -> 'MMS', n.capabilities -> 'mms', 'false')) as capabilities,
       n.provider, n.number_ref as provider_sid,
       -- What it costs the user is in their plan, and on their bill.
       null::numeric(10, 2) as monthly_cost,
       n.status, n.account_id as assigned_to, '{}'::jsonb as metadata, n.created_at, n.updated_at
from public.phone_numbers n
where n.account_id = current_setting('app.account_id', true) and n.status not in ('ordered', 'buying', 'released');

create view legacy.call_recordings as
select r.recording_ref::varchar as recording_sid, r.call_ref::varchar as call_sid,
       -- Who gives it out asks for the account's own token.
       case when r.removed_at is null
            then 'https://api.twilio.com/2010-04-01/Accounts/' || r.held_by_ref || '/Recordings/' || r.recording_ref || '.mp3'
       end as recording_url,
       r.seconds as duration, case when r.transcript <> 'deleted' then r.transcription_id end as transcription_id,
       r.transcript as status, r.account_id as user_id, r.began_at as created_at, r.updated_at
from public.recordings r
where r.account_id = current_setting('app.account_id', true);

create view legacy.twilio_recordings as
select recording_sid, call_sid, recording_url, duration, status, transcription_id, user_id, created_at, updated_at
from legacy.call_recordings;

create view legacy.call_logs as
select md5('call ' || c.account_id || ' ' || c.call_ref)::uuid as id, c.call_ref::varchar as call_sid, ours.id as phone_number_id,
       c.from_number::varchar, c.to_number::varchar, c.direction, c.status::varchar, c.seconds as duration,
       recorded.recording_url, recorded.recording_sid,
       -- What was said is sealed: GET /api/phone/calls/{callSid} opens it.
       null::text as transcription, null::text as ai_summary,
       (c.cost_micros / 1e6)::numeric(10, 4) as price, 'USD'::varchar as price_unit, c.account_id as user_id,
       coalesce(wish.metadata, '{}') as metadata, c.began_at as created_at,
       case when c.seconds > 0 then c.ended_at - make_interval(secs => c.seconds) end as answered_at, c.ended_at,
       ours.number_ref as phone_number_sid, recorded.transcription_id, c.updated_at
from public.calls c
left join lateral (select n.id, n.number_ref from public.phone_numbers n
                   where n.account_id = c.account_id
                     and n.phone_number = case c.direction when 'inbound' then c.to_number else c.from_number end
                   order by n.released_at desc nulls first limit 1) ours on true
left join lateral (select r.* from legacy.call_recordings r
                   where r.call_sid = c.call_ref and r.status <> 'deleted'
                   order by r.status = 'completed' desc, r.created_at desc limit 1) recorded on true
left join public.outbound wish on wish.account_id = c.account_id and wish.ext_ref = c.call_ref
where c.account_id = current_setting('app.account_id', true);

create view legacy.twilio_calls as
select id, call_sid, from_number, to_number, phone_number_sid, direction, status, duration, recording_url, recording_sid,
       transcription_id, user_id, metadata, created_at, updated_at
from legacy.call_logs;

create view legacy.sms_conversations as
select md5('conversation ' || last.account_id || ' ' || last.our_number || ' ' || last.their_number)::uuid as id,
       (select n.id from public.phone_numbers n
        where n.account_id = last.account_id and n.phone_number = last.our_number
        order by n.released_at desc nulls first limit 1) as phone_number_id,
       last.their_number::varchar as participant_number, last.began_at as last_message_at,
       left(last.body, 100) as last_message_preview,
       -- Nobody says here what they have read or put away.
       0 as unread_count, false as is_archived, '{}'::jsonb as metadata,
       (select min(m.began_at) from public.messages m
        where m.account_id = last.account_id and m.our_number = last.our_number and m.their_number = last.their_number)
           as created_at
from (select distinct on (m.our_number, m.their_number) m.* from public.messages m
      where m.account_id = current_setting('app.account_id', true)
        and m.our_number is not null and m.their_number is not null
      order by m.our_number, m.their_number, m.began_at desc, m.message_ref desc) last;

create view legacy.sms_messages as
select md5('message ' || m.account_id || ' ' || m.message_ref)::uuid as id, m.message_ref::varchar as message_sid,
       (select n.id from public.phone_numbers n where n.account_id = m.account_id and n.phone_number = m.our_number
        order by n.released_at desc nulls first limit 1) as phone_number_id,
       m.from_number::varchar, m.to_number::varchar, m.body, m.segments as num_segments, m.direction,
       m.status::varchar, (m.cost_micros / 1e6)::numeric(10, 4) as price, 'USD'::varchar as price_unit,
       m.error_code, null::text as error_message, m.account_id as user_id,
       md5('conversation ' || m.account_id || ' ' || m.our_number || ' ' || m.their_number)::uuid as conversation_id,
       coalesce(wish.metadata, '{}') as metadata, m.began_at as created_at,
       case when m.direction = 'outbound' then m.began_at end as sent_at,
       case when m.status in ('delivered', 'read') then m.updated_at end as delivered_at,
       m.media as num_media, m.updated_at
from public.messages m
left join public.outbound wish on wish.account_id = m.account_id and wish.ext_ref = m.message_ref
where m.account_id = current_setting('app.account_id', true);

create view legacy.twilio_sms as
select id, message_sid, from_number, to_number, body, num_segments, num_media, direction, status, error_code, user_id,
       metadata, created_at, updated_at
from legacy.sms_messages;

create view legacy.phone_usage_records as
select e.event_id as id, coalesce(call.phone_number_id, message.phone_number_id) as phone_number_id, e.account_id as user_id,
       case when e.feature = 'voice_minutes' then 'call_minutes'
            else case when message.num_media > 0 then 'mms' else 'sms' end
                 || case when message.direction = 'inbound' then '_received' else '_sent' end end as type,
       (e.quantity / 1e6)::numeric(10, 2) as quantity,
       -- The provider's, in US dollars. Null: it has not said it yet.
       (coalesce(call.price, message.price) / (e.quantity / 1e6))::numeric(10, 4) as unit_cost,
       coalesce(call.price, message.price) as total_cost,
       date_trunc('month', e.occurred_at at time zone 'utc')::date as billing_period, coalesce(e.metadata, '{}') as metadata,
       e.occurred_at as created_at
from public.usage_events e
left join legacy.call_logs call on e.feature = 'voice_minutes' and call.call_sid = e.source_id
left join legacy.sms_messages message on e.feature = 'sms' and message.message_sid = e.source_id
where e.account_id = current_setting('app.account_id', true)
  and e.feature in ('voice_minutes', 'sms') and e.source in ('twilio', 'voipms');

-- A row for each thing that is settled, of the account or of one of its numbers.
create view legacy.phone_system_config as
select md5('config ' || c.account_id || ' ' || c.phone_number || ' ' || one.key)::uuid as id, c.account_id as user_id,
       case one.key when 'forwarding' then 'call_forwarding' else one.key end as config_type,
       case jsonb_typeof(one.value) when 'object' then one.value else jsonb_build_object(one.key, one.value) end
           || case c.phone_number when '' then '{}' else jsonb_build_object('phone_number', c.phone_number) end as config_data,
       case jsonb_typeof(one.value) when 'object' then one.value -> 'enabled' = 'true' else one.value <> 'false' end
           as is_active,
       c.updated_at as created_at, c.updated_at
from public.phone_system_config c cross join jsonb_each(c.config) one
where c.account_id = current_setting('app.account_id', true);

do $$
declare v text;
begin
    grant usage on schema legacy to tollkeeper_app, tollkeeper_service;
    foreach v in array array['phone_numbers', 'call_recordings', 'twilio_recordings', 'call_logs', 'twilio_calls',
                             'sms_conversations', 'sms_messages', 'twilio_sms', 'phone_usage_records',
                             'phone_system_config'] loop
        execute format('grant select on legacy.%I to tollkeeper_app, tollkeeper_service', v);
        -- Who reads it reads with their own rights. Postgres 14 knows no such view: there the condition that each of
        -- them has is all.
        if current_setting('server_version_num')::int >= 150000 then
            execute format('alter view legacy.%I set (security_invoker = true)', v);
        end if;
    end loop;
end $$;
