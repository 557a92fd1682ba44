-- Keys that change while the node runs: which keys secrets at rest were sealed with, and when each signing key of the node counts.
-- Texts sealed from now on name their key. Code of the release before cannot open them: it has to end before this one starts.

-- Ids only. A start that has not every key listed here refuses; sealing everything anew empties it but for the current one.
create table secret_keys (
  id text primary key check (id ~ '^[0-9a-f]{16}$'),
  since timestamptz not null default now()
);

alter table instance_keys
  -- Keys of PRIVATE_KEY_FILE are in the file; here is what others have to know of them.
  alter column private_key_sealed drop not null,
  add column public_jwk jsonb,
  -- From then on it signs. Before, it is only published, so that everybody knows it by then.
  add column active_from timestamptz not null default now(),
  -- Until then it is published, after another took its place.
  add column published_until timestamptz;
