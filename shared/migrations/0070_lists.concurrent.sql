-- Lists of the Admin API are read along an index: the operator's over all tenants, and those by initiator, state and type. Code from
-- before survives: it reads the same rows, some of them faster.

create index concurrently tenants_page on tenants (created_at, id);
create index concurrently assets_page on assets (tenant_id, created_at, id);
create index concurrently assets_page_all on assets (created_at, id);
create index concurrently fees_page on fees (asset_id, created_at, id);
create index concurrently peers_page on peers (tenant_id, created_at, id);
create index concurrently peers_page_all on peers (created_at, id);
create index concurrently wallet_addresses_page_all on wallet_addresses (created_at, id);
create index concurrently wallet_address_keys_page on wallet_address_keys (wallet_address_id, created_at, id);
create index concurrently incoming_payments_page_all on incoming_payments (created_at, id);
create index concurrently incoming_payments_initiator on incoming_payments (tenant_id, initiated_by, created_at, id);
create index concurrently incoming_payments_initiator_all on incoming_payments (initiated_by, created_at, id);
create index concurrently outgoing_payments_page_all on outgoing_payments (created_at, id);
create index concurrently outgoing_payments_state on outgoing_payments (tenant_id, state, created_at, id);
create index concurrently outgoing_payments_state_all on outgoing_payments (state, created_at, id);
create index concurrently webhook_events_page_all on webhook_events (created_at, id);
create index concurrently webhook_events_type on webhook_events (tenant_id, type, created_at, id);
create index concurrently webhook_events_type_all on webhook_events (type, created_at, id);
