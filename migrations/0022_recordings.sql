-- Recordings of calls, what was said in them, and what it came to. The audio itself stays at the provider until it is
-- deleted there.
create table recordings (
    account_id        text        not null references accounts,
    -- The provider's id.
    recording_ref     text        not null,
    -- What apps know the transcription by.
    transcription_id  uuid        not null unique,
    -- Null: a conference's, or nobody told it yet.
    call_ref          text,
    -- The provider's account that it lies in.
    held_by_ref       text        not null,
    status            text        not null,
    -- Null until it is over.
    seconds           integer check (seconds >= 0),
    began_at          timestamptz not null,
    told_at           timestamptz not null,
    updated_at        timestamptz not null,
    -- Null: nobody has seen yet that it may be transcribed.
    fetched_at        timestamptz,
    -- Null: it lies at the provider.
    removed_at        timestamptz,

    transcript        text        not null default 'pending'
                      check (transcript in ('pending', 'processing', 'completed', 'failed', 'deleted')),
    transcript_error  text,
    transcript_sealed text,
    transcribed_at    timestamptz,
    analysis          text        not null default 'pending' check (analysis in ('pending', 'completed', 'failed')),
    analysis_error    text,
    analysis_sealed   text,

    primary key (account_id, recording_ref),
    check ((transcript = 'completed') = (transcript_sealed is not null)),
    check ((transcript = 'failed') = (transcript_error is not null)),
    check (analysis_sealed is null or (analysis = 'completed' and transcript = 'completed'))
);
create index recordings_of_call on recordings (account_id, call_ref);
create index recordings_began on recordings (account_id, began_at desc, recording_ref desc);
-- What there is still to do about, step by step.
create index recordings_to_transcribe on recordings (updated_at) where transcript in ('pending', 'processing');
create index recordings_to_analyse on recordings (updated_at) where transcript = 'completed' and analysis = 'pending';
create index recordings_to_delete on recordings (transcript, updated_at)
    where removed_at is null and transcript in ('completed', 'deleted');

-- Answers that were paid for and are not made use of yet: whatever ends a run, none is paid for again.
create table speech_answers (
    account_id    text        not null references accounts,
    -- What was asked: begins with the id of the recording.
    subject       text        not null,
    answer_sealed text        not null,
    answered_at   timestamptz not null,
    primary key (account_id, subject)
);

alter table provider_calls drop constraint provider_calls_provider_check,
    add constraint provider_calls_provider_check check (provider in ('stripe', 'twilio', 'voipms', 'speech'));

-- A call is named by its recording's callback, which says no number.
create index calls_ref on calls (call_ref);

grant select, insert, update, delete on recordings, speech_answers to tollkeeper_service;
grant select, update on recordings to tollkeeper_app;

do $$
declare t text;
begin
    foreach t in array array['recordings', 'speech_answers'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy service on %I to tollkeeper_service using (true) with check (true)', t);
    end loop;
end $$;
create policy tenant on recordings to tollkeeper_app
    using (account_id <> '' and account_id = current_setting('app.account_id', true))
    with check (account_id <> '' and account_id = current_setting('app.account_id', true));

-- What was kept until somebody would take it up is taken up now.
with taken as (
    update webhooks set state = 'stored'
    where provider = 'twilio' and state = 'held' and kind in ('record_action', 'recording_status')
    returning id, endpoint
)
insert into queue.jobs (id, kind, key, account_id, lane, attempts_max, version, payload, run_at, state)
select gen_random_uuid(), 'handle_twilio_callback', taken.id::text, coalesce(of.account_id, ''), 'default', 100, 1,
       jsonb_build_object('webhook_id', taken.id), now(), 'ready'
from taken left join twilio_subaccounts of on of.subaccount_ref = taken.endpoint;
