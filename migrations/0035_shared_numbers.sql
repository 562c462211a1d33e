-- The last word to a number counts, whoever had the number when it was said.
drop index opt_outs_numbers;
create index opt_outs_numbers on opt_outs (our_number, their_number, said_at);

-- What leaves from the main account's number is told apart across all accounts that use it.
create index outbound_fallback_refs on outbound (ext_ref) where is_fallback and ext_ref is not null;
create index outbound_fallback_asked on outbound (from_number, to_number, id) where is_fallback and state = 'asked';
