-- The authorization database: tenants, grants, tokens. First release; no older code.
-- Token values are kept as SHA-256 only. Tenants' secrets must be read back and are sealed (shared/platform/secret-box.ts).

create table tenants (
  id uuid primary key,
  api_secret_sealed text not null,
  idp_consent_url text,
  idp_secret_sealed text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz
);

create table grants (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  state text not null check (state in ('PENDING', 'APPROVED', 'FINALIZED')),
  finalization_reason text check (finalization_reason in ('ISSUED', 'REVOKED', 'REJECTED')),
  -- Who asked: a wallet address as it was sent, or a key.
  client text,
  client_jwk jsonb,
  continue_id uuid not null unique,
  continue_token_hash bytea not null check (length(continue_token_hash) = 32),
  -- Creation or last poll: clients wait between polls.
  continued_at timestamptz not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint grants_client check (num_nonnulls(client, client_jwk) = 1),
  constraint grants_finalized check ((state = 'FINALIZED') = (finalization_reason is not null))
);
create index grants_page on grants (tenant_id, created_at desc, id desc);

create table accesses (
  grant_id uuid not null references grants (id) on delete cascade,
  position smallint not null,
  type text not null check (type in ('incoming-payment', 'outgoing-payment', 'quote')),
  actions text[] not null,
  identifier text,
  -- Opaque here; the resource server enforces them.
  limits jsonb,
  primary key (grant_id, position)
);

create table access_tokens (
  -- Names the token in its management URL.
  id uuid primary key,
  grant_id uuid not null references grants (id) on delete cascade,
  token_hash bytea not null unique check (length(token_hash) = 32),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  created_at timestamptz not null
);
create index access_tokens_grant on access_tokens (grant_id);
create index access_tokens_expiry on access_tokens (expires_at);

-- Nonces and internal signatures that were used: single-use while they would still be accepted.
create table used_nonces (
  digest bytea primary key check (length(digest) = 32),
  expires_at timestamptz not null
);
create index used_nonces_expiry on used_nonces (expires_at);
