-- Interactive grants: whom a client wants to know about, what the person who is asked gets to see, how the client hears of the
-- answer; interactions, and the browsers that take part in them. Only adds: code of the release before goes on working.

alter table grants
  -- The wallet's public name when the grant was requested; its URL is `client`.
  add column client_name text,
  add column finish_uri text,
  add column finish_nonce text,
  -- What the client must present after the interaction.
  add column interact_ref_hash bytea,
  add constraint grants_interact_ref_hash_check check (length(interact_ref_hash) = 32) not valid,
  add constraint grants_finish check ((finish_uri is null) = (finish_nonce is null)) not valid,
  add constraint grants_pending check (state <> 'PENDING' or (client_name is not null and interact_ref_hash is not null)) not valid;

create table subjects (
  grant_id uuid not null references grants (id) on delete cascade,
  position smallint not null,
  sub_id text not null,
  sub_id_format text not null check (sub_id_format = 'uri'),
  primary key (grant_id, position)
);

-- One per interactive grant. What happens here reaches the grant only when the browser finishes.
create table interactions (
  id uuid primary key,
  grant_id uuid not null unique references grants (id) on delete cascade,
  nonce_hash bytea not null check (length(nonce_hash) = 32),
  -- The browser carries it back to the client; sealed (shared/platform/secret-box.ts).
  interact_ref_sealed text not null,
  state text not null check (state in ('PENDING', 'APPROVED', 'DENIED')),
  expires_at timestamptz not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index interactions_expiry on interactions (expires_at);

-- A browser that started an interaction, and may finish it. It alone knows the session's id.
create table sessions (
  id_hash bytea primary key check (length(id_hash) = 32),
  interaction_id uuid not null references interactions (id) on delete cascade,
  expires_at timestamptz not null
);
create index sessions_interaction on sessions (interaction_id);
create index sessions_expiry on sessions (expires_at);
