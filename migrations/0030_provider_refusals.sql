-- A refusal that came while an earlier request of the same effect was still open. It counts only
-- once that request is settled, because the refusal may be that request's own doing: a number is
-- "taken" when we took it ourselves a moment ago.
alter table provider_calls add column refusal jsonb;

create index provider_calls_of_account on provider_calls (account_id, provider, kind);
drop index provider_calls_account;
