-- A client that may list what is its own at a wallet address (Open Payments) is read along an index, however many payments others made
-- there. Events about a peer are found when it is deleted, without a walk through all events. Code from before survives.

create index concurrently incoming_payments_client on incoming_payments (wallet_address_id, client, created_at, id) where client is not null;
create index concurrently outgoing_payments_client on outgoing_payments (wallet_address_id, client, created_at, id) where client is not null;
create index concurrently webhook_events_peer on webhook_events (peer_id) where peer_id is not null;
