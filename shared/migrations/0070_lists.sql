-- Lists of the Admin API are read along an index: the operator's over all tenants, and those by initiator, state and type. Code from
-- before survives: it reads the same rows, some of them faster.

create index tenants_page on tenants (created_at, id);
create index assets_page on assets (tenant_id, created_at, id);
create index assets_page_all on assets (created_at, id);
create index fees_page on fees (asset_id, created_at, id);
create index peers_page on peers (tenant_id, created_at, id);
create index peers_page_all on peers (created_at, id);
create index wallet_addresses_page_all on wallet_addresses (created_at, id);
create index wallet_address_keys_page on wallet_address_keys (wallet_address_id, created_at, id);
create index incoming_payments_page_all on incoming_payments (created_at, id);
create index incoming_payments_initiator on incoming_payments (tenant_id, initiated_by, created_at, id);
create index incoming_payments_initiator_all on incoming_payments (initiated_by, created_at, id);
create index outgoing_payments_page_all on outgoing_payments (created_at, id);
create index outgoing_payments_state on outgoing_payments (tenant_id, state, created_at, id);
create index outgoing_payments_state_all on outgoing_payments (state, created_at, id);
create index webhook_events_page_all on webhook_events (created_at, id);
create index webhook_events_type on webhook_events (tenant_id, type, created_at, id);
create index webhook_events_type_all on webhook_events (type, created_at, id);
