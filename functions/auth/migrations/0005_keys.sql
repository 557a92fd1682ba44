-- Which keys secrets at rest were sealed with, by id, so that a start without one of them says so. Texts sealed from
-- now on name their key; code of the release before cannot open them: it has to end before this one starts.

create table secret_keys (
  id text primary key check (id ~ '^[0-9a-f]{16}$'),
  since timestamptz not null default now()
);
