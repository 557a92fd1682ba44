-- Webhooks: a log of attempts, secrets per tenant, endpoints of the card and POS services, resending, liquidity that runs low. Code
-- from before survives: it leaves the new columns as they are, logs no attempts, and gives up what has no place to go.

alter table webhook_deliveries
  -- Where it goes: the recipient's wallet, or a service of the node.
  add column endpoint text not null default 'wallet',
  -- Of the attempt that was accepted. Others are rows of webhook_attempts: the usual case, accepted at once, must not cost a row.
  add column latency_ms integer,
  add column answer text,
  -- Attempts up to the last resending: back-off and limits count from there.
  add column attempts_before integer not null default 0,
  -- Not an index on `state`: every delivery changes that, and would have to change the index with it.
  add column dead_at timestamptz,
  add constraint webhook_deliveries_endpoint_check check (endpoint in ('wallet', 'card', 'pos')) not valid,
  add constraint webhook_deliveries_latency_ms_check check (latency_ms >= 0) not valid;

-- Attempts that were not accepted, and accepted ones of deliveries that were sent again.
create table webhook_attempts (
  delivery_id uuid not null references webhook_deliveries (id) on delete cascade,
  -- From 1; goes on over resendings.
  number integer not null,
  at timestamptz not null,
  status_code integer,
  latency_ms integer check (latency_ms >= 0),
  error text,
  -- The beginning of what the endpoint said.
  answer text,
  primary key (delivery_id, number)
);
create index webhook_attempts_at on webhook_attempts (at);

-- What a tenant's webhooks are signed with instead of SIGNATURE_SECRET. Both are good until the previous one ends.
create table webhook_secrets (
  tenant_id uuid primary key references tenants (id) on delete cascade,
  current_sealed text not null,
  previous_sealed text,
  previous_until timestamptz,
  changed_at timestamptz not null,
  check ((previous_sealed is null) = (previous_until is null))
);

-- Assets and peers whose balance is at or below their threshold, and that have been announced: one event per crossing.
create table low_liquidity (
  -- Asset or peer, and its ledger account.
  account_id uuid primary key,
  threshold numeric(20, 0) not null,
  since timestamptz not null
);
create index assets_liquidity_threshold on assets (id) where liquidity_threshold is not null and deleted_at is null;
create index peers_liquidity_threshold on peers (id) where liquidity_threshold is not null;
