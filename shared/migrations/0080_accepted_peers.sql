-- Peers that asked to be one (auto-peering). Code from before survives: it takes them for peers like any other, and gives them nothing.

alter table peers
  -- When this node accepted the request; null: the operator, or a tenant, made the peer.
  add column accepted_at timestamptz,
  -- When the operator said that it may have credit.
  add column approved_at timestamptz check (approved_at is null or accepted_at is not null);
create index peers_accepted on peers (asset_id) where accepted_at is not null;

-- New tokens that somebody has asked for in a peer's name. They count once its endpoint has shown that it knows them.
create table peering_proofs (
  id uuid primary key,
  peer_id uuid not null references peers (id) on delete cascade,
  -- What the peer will present, and what it will be presented with.
  incoming_token_sealed text not null,
  outgoing_token_sealed text not null,
  name text,
  max_packet_amount numeric(20, 0) check (max_packet_amount > 0),
  created_at timestamptz not null,
  expires_at timestamptz not null
);
create index peering_proofs_peer on peering_proofs (peer_id);
