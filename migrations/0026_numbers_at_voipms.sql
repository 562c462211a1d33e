-- Numbers are ordered and given back at VoIP.ms, too. There a number is known by its digits alone, and one account has
-- them all.

-- A number that was given back may be bought again. An id of Twilio's never comes back.
alter table phone_numbers drop constraint phone_numbers_number_ref_key;
create unique index phone_numbers_ref on phone_numbers (number_ref) where provider = 'twilio' or status <> 'released';

-- Two orders never reach for the same number there, whoever made them: VoIP.ms could not tell the second from the first.
create unique index phone_numbers_at_voipms on phone_numbers (phone_number) where provider = 'voipms' and status <> 'released';

-- A callback that was kept because nobody could look it up has been handled by nobody: it is taken up once that can be.
-- What was kept before may be such a one, or may be of a number that nobody has: that is found out once more.
update webhooks set handled_at = null where provider = 'voipms' and state = 'held';
create index webhooks_kept_of_voipms on webhooks (received_at) where provider = 'voipms' and state = 'held' and handled_at is null;
