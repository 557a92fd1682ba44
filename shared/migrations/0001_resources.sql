-- The resource database: tenants, assets, peers, wallet addresses, payments, webhooks, work. First release; no older code.
-- Money is numeric(20,0) (u64). Secrets that must be read back are sealed (shared/platform/secret-box.ts); tokens are hashed.

create table tenants (
  id uuid primary key,
  email text,
  public_name text,
  api_secret_sealed text not null,
  idp_consent_url text,
  idp_secret_sealed text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz
);

create table tenant_settings (
  tenant_id uuid not null references tenants (id) on delete cascade,
  key text not null,
  value text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, key)
);
-- One wallet address prefix belongs to one tenant.
create unique index tenant_settings_wallet_address_url on tenant_settings (value) where key = 'WALLET_ADDRESS_URL';

create table assets (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  code text not null check (code <> ''),
  scale smallint not null check (scale between 0 and 255),
  -- The ledger number. Each tenant's asset has a ledger of its own, so tenants never share liquidity.
  ledger integer not null unique generated always as identity,
  liquidity_threshold numeric(20, 0) check (liquidity_threshold >= 0),
  withdrawal_threshold numeric(20, 0) check (withdrawal_threshold >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  unique (tenant_id, code, scale)
);

create table fees (
  id uuid primary key,
  asset_id uuid not null references assets (id),
  type text not null check (type in ('SENDING', 'RECEIVING')),
  fixed numeric(20, 0) not null check (fixed >= 0),
  basis_points integer not null check (basis_points between 0 and 10000),
  created_at timestamptz not null default now()
);
create index fees_latest on fees (asset_id, type, created_at desc, id desc);

create table peers (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  asset_id uuid not null references assets (id),
  static_ilp_address text not null,
  name text,
  max_packet_amount numeric(20, 0) check (max_packet_amount > 0),
  packets_per_minute integer check (packets_per_minute > 0),
  liquidity_threshold numeric(20, 0) check (liquidity_threshold >= 0),
  -- What creation deposited. Kept, so that a crash between row and ledger can be made good under the same transfer id.
  initial_liquidity numeric(20, 0) check (initial_liquidity > 0),
  outgoing_endpoint text not null,
  outgoing_token_sealed text not null,
  -- Every prefix that leads to this peer; the static address is always among them.
  routes text[] not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint peers_asset_address unique (asset_id, static_ilp_address)
);

create table peer_incoming_tokens (
  token_hash bytea primary key check (length(token_hash) = 32),
  peer_id uuid not null references peers (id) on delete cascade,
  created_at timestamptz not null default now()
);
create index peer_incoming_tokens_peer on peer_incoming_tokens (peer_id);

create table wallet_addresses (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  asset_id uuid not null references assets (id),
  -- Lower-case https URL without a trailing slash.
  address text not null unique check (address = lower(address) and address like 'https://%'),
  public_name text,
  deactivated_at timestamptz,
  total_events_amount numeric(20, 0) not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index wallet_addresses_page on wallet_addresses (tenant_id, created_at desc, id desc);

create table wallet_address_properties (
  wallet_address_id uuid not null references wallet_addresses (id) on delete cascade,
  key text not null check (key <> ''),
  value text not null check (value <> ''),
  visible_in_open_payments boolean not null default false,
  primary key (wallet_address_id, key)
);

create table wallet_address_keys (
  id uuid primary key,
  wallet_address_id uuid not null references wallet_addresses (id) on delete cascade,
  kid text not null,
  x text not null,
  revoked_at timestamptz,
  created_at timestamptz not null default now()
);
create unique index wallet_address_keys_active on wallet_address_keys (wallet_address_id, kid) where revoked_at is null;

create table incoming_payments (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  wallet_address_id uuid not null references wallet_addresses (id),
  asset_id uuid not null references assets (id),
  -- Who created it over Open Payments: the client's wallet address or its key's thumbprint.
  client text,
  state text not null default 'PENDING' check (state in ('PENDING', 'PROCESSING', 'COMPLETED', 'EXPIRED')),
  incoming_amount numeric(20, 0) check (incoming_amount > 0),
  metadata jsonb,
  initiated_by text not null check (initiated_by in ('CARD', 'OPEN_PAYMENTS', 'ADMIN')),
  sender_wallet_address text,
  expires_at timestamptz not null,
  -- When the next step is due: expiry while open, the announcement once closed.
  process_at timestamptz not null,
  -- Who may credit it, registered before the first credit of each kind: the connector whose packets do (all zeros: several), payments
  -- of this node, and how many of the latter are at it. An end is announced at once only when nobody else can be at it.
  paid_by_connector uuid,
  paid_locally boolean not null default false,
  local_credits integer not null default 0 check (local_credits >= 0),
  -- When the completed or expired event was written. Money is announced exactly once; what comes behind the event has one of its own.
  announced_at timestamptz,
  approved_at timestamptz,
  cancelled_at timestamptz,
  cancellation_reason text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz
);
create index incoming_payments_page on incoming_payments (tenant_id, created_at desc, id desc);
create index incoming_payments_wallet_address on incoming_payments (wallet_address_id, created_at desc, id desc);
-- What still has to be closed or announced: found again by the sweep when its job was lost.
create index incoming_payments_due on incoming_payments (process_at) where announced_at is null and deleted_at is null;
-- Open ones with an amount: compared with the ledger from time to time.
create index incoming_payments_open on incoming_payments (id) where state in ('PENDING', 'PROCESSING') and deleted_at is null;

create table quotes (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  wallet_address_id uuid not null references wallet_addresses (id),
  asset_id uuid not null references assets (id),
  client text,
  -- Incoming payment URL.
  receiver text not null,
  method text not null check (method in ('LOCAL', 'ILP')),
  debit_amount numeric(20, 0) not null check (debit_amount > 0),
  -- Debit amount without the sending fee: what may enter the network.
  source_amount numeric(20, 0) not null check (source_amount > 0 and source_amount <= debit_amount),
  receive_amount numeric(20, 0) not null check (receive_amount > 0),
  receive_asset_code text not null,
  receive_asset_scale smallint not null check (receive_asset_scale between 0 and 255),
  fee_id uuid references fees (id),
  -- ILP only: the least acceptable rate per packet and the bounds that the probe saw, smallest units, exact.
  max_packet_amount numeric(20, 0),
  min_rate_numerator numeric,
  min_rate_denominator numeric,
  low_rate_numerator numeric,
  low_rate_denominator numeric,
  high_rate_numerator numeric,
  high_rate_denominator numeric,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index quotes_page on quotes (tenant_id, created_at desc, id desc);
create index quotes_wallet_address on quotes (wallet_address_id, created_at desc, id desc);
-- Wallets look outgoing payments up by receiver.
create index quotes_receiver on quotes (receiver);

create table outgoing_payments (
  -- The quote's id: a quote is spent once.
  id uuid primary key references quotes (id),
  tenant_id uuid not null references tenants (id),
  wallet_address_id uuid not null references wallet_addresses (id),
  client text,
  grant_id text,
  -- The request that made it, where its caller may ask again: then it is found, and not made a second time.
  request_id uuid unique,
  state text not null default 'FUNDING' check (state in ('FUNDING', 'SENDING', 'COMPLETED', 'FAILED', 'CANCELLED')),
  -- Stable code and words of why it failed.
  error_code text,
  error text,
  metadata jsonb,
  state_attempts integer not null default 0,
  -- Times that the ledger definitely refused to pay: part of the next transfer's id.
  transfer_attempts integer not null default 0,
  -- Set before the deposit reaches the ledger, so that a cancel cannot overtake money; a sweep finishes what a crash left.
  funding_started_at timestamptz,
  -- Sum that receivers confirmed, in the receive asset; truth about sent money while SENDING is the ledger.
  delivered_amount numeric(20, 0) not null default 0,
  -- What the sender had sent when it last counted: after a crash the ledger may know of more.
  recorded_sent_amount numeric(20, 0) not null default 0,
  -- Final figure, fixed when the payment ends: later withdrawals debit the same account.
  sent_amount numeric(20, 0),
  packets_sent integer not null default 0,
  packets_fulfilled integer not null default 0,
  packets_rejected integer not null default 0,
  initiated_by text not null check (initiated_by in ('CARD', 'OPEN_PAYMENTS', 'ADMIN')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint outgoing_payments_ended check (state not in ('COMPLETED', 'FAILED') or sent_amount is not null),
  constraint outgoing_payments_completed_sent check (state <> 'COMPLETED' or sent_amount > 0)
);
create index outgoing_payments_page on outgoing_payments (tenant_id, created_at desc, id desc);
create index outgoing_payments_wallet_address on outgoing_payments (wallet_address_id, created_at desc, id desc);
-- Payments that nobody funded, for UNFUNDED_PAYMENT_TIMEOUT_MS.
create index outgoing_payments_unfunded on outgoing_payments (created_at) where state = 'FUNDING' and funding_started_at is null;
create index outgoing_payments_unfinished on outgoing_payments (updated_at) where state = 'SENDING' or (state = 'FUNDING' and funding_started_at is not null);

create table webhook_events (
  id uuid primary key,
  -- Owner.
  tenant_id uuid not null references tenants (id),
  type text not null,
  -- json, not jsonb: wallets get the fields in the order in which they were written.
  data json not null,
  outgoing_payment_id uuid references outgoing_payments (id),
  incoming_payment_id uuid references incoming_payments (id),
  wallet_address_id uuid references wallet_addresses (id),
  asset_id uuid references assets (id),
  peer_id uuid references peers (id) on delete set null,
  -- What the wallet may withdraw because of this event; never sent.
  withdrawal_account_id uuid,
  withdrawal_asset_id uuid references assets (id),
  withdrawal_amount numeric(20, 0) check (withdrawal_amount > 0),
  created_at timestamptz not null default now()
);
create index webhook_events_page on webhook_events (tenant_id, created_at desc, id desc);
create index webhook_events_outgoing_payment on webhook_events (outgoing_payment_id) where outgoing_payment_id is not null;
create index webhook_events_incoming_payment on webhook_events (incoming_payment_id) where incoming_payment_id is not null;
-- A state is reached once, so it is announced once.
create unique index webhook_events_outgoing_once on webhook_events (outgoing_payment_id, type) where outgoing_payment_id is not null;

create table webhook_deliveries (
  id uuid primary key,
  event_id uuid not null references webhook_events (id) on delete cascade,
  recipient_tenant_id uuid not null references tenants (id),
  state text not null default 'pending' check (state in ('pending', 'delivered', 'dead')),
  attempts integer not null default 0,
  status_code integer,
  last_error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  delivered_at timestamptz,
  unique (event_id, recipient_tenant_id)
);

-- Work to do. The row is the truth; a notification or a queue message only wakes a worker. One row per piece of work: asking
-- again while it is worked on raises `requested`, and the worker runs once more.
create table jobs (
  queue text not null,
  key uuid not null,
  -- Whose work it is; all zeros for nobody's. Workers walk from tenant to tenant along jobs_due.
  tenant_id uuid not null default '00000000-0000-0000-0000-000000000000',
  run_at timestamptz not null default now(),
  requested bigint not null default 1,
  attempts integer not null default 0,
  lease_token bigint not null default 0,
  lease_until timestamptz,
  created_at timestamptz not null default now(),
  primary key (queue, key)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
create index jobs_due on jobs (queue, tenant_id, run_at);

create table idempotency_keys (
  tenant_id uuid not null references tenants (id),
  key text not null,
  operation text not null,
  arguments_hash bytea not null,
  -- The mutation's answer, so that a repeat gets the same one; null while the first request is still at it.
  result jsonb,
  -- Until when the request that holds the key may still be at it, and who it is.
  locked_until timestamptz not null,
  owner uuid not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  primary key (tenant_id, key)
);
create index idempotency_keys_expiry on idempotency_keys (expires_at);

-- Signatures of mutations that were carried out: each is good for one. Unlogged: after a crash the freshness window protects.
create unlogged table used_signatures (
  digest bytea primary key,
  expires_at timestamptz not null
);
create index used_signatures_expiry on used_signatures (expires_at);

-- Grants that this node holds at other authorization servers, to create and read incoming payments there.
create table remote_grants (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  auth_server text not null,
  access_type text not null,
  -- Sorted, comma separated.
  actions text not null,
  access_token_sealed text not null,
  manage_url text not null,
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint remote_grants_once unique (tenant_id, auth_server, access_type, actions)
);

-- The node's own signing key when PRIVATE_KEY_FILE is not set.
create table instance_keys (
  kid text primary key,
  private_key_sealed text not null,
  created_at timestamptz not null default now()
);
