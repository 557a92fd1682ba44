-- Tenants end to end: creation that waits for the authorization server, and keys for tools that cannot sign. Code from before
-- survives: its tenants are open at once, it knows no keys, and it takes one that is being opened for open.

alter table tenants
  -- Its creation is under way: it is nobody's yet, until the authorization server has it too.
  add column is_opening boolean not null default false,
  -- Written here at least once, if only to be cleared. The operator's row at the authorization server begins with what that
  -- server's environment says; it follows this row in what was written here.
  add column idp_consent_url_written boolean not null default false,
  add column idp_secret_written boolean not null default false;

-- One prefix belongs to one tenant, in whichever case and with or without a slash behind it.
create unique index tenant_settings_wallet_address_base on tenant_settings (lower(rtrim(value, '/'))) where key = 'WALLET_ADDRESS_URL';

-- Bearer keys of the Admin API. The secret part has 256 random bits, so its hash needs no salt.
create table tenant_api_keys (
  id uuid primary key,
  tenant_id uuid not null references tenants (id) on delete cascade,
  name text,
  secret_hash bytea not null check (length(secret_hash) = 32),
  created_at timestamptz not null,
  revoked_at timestamptz
);
create index tenant_api_keys_tenant on tenant_api_keys (tenant_id, created_at, id);
