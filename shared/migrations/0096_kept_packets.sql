-- Packets of this node's own payments that have left and are not counted in their payments' rows: a connector that comes after the one that
-- sent them asks their peers what became of them. Rows live for as long as a packet is under way. No foreign key to the payment: each check would cost more than the row.
-- Code from before survives: it keeps none.

create table kept_packets (
  id uuid primary key,
  outgoing_payment_id uuid not null,
  tenant_id uuid not null,
  -- The connector that sent it: a new one each time one starts.
  sender uuid not null,
  peer_id uuid not null,
  -- For the payer's account: one of the things that the ids of its transfers follow from.
  expires_at timestamptz not null,
  -- As it leaves.
  prepare bytea not null,
  -- Opens what the receiver says. Sealed.
  answer_key_sealed text not null,
  kept_at timestamptz not null default now()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index kept_packets_payment on kept_packets (outgoing_payment_id);
create index kept_packets_expiry on kept_packets (expires_at);
