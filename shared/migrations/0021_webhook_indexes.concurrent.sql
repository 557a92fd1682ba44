-- Indexes of deliveries: what was given up, and one delivery for each recipient and endpoint. Code from before does not notice.

create unique index concurrently webhook_deliveries_once on webhook_deliveries (event_id, recipient_tenant_id, endpoint);
create index concurrently webhook_deliveries_dead on webhook_deliveries (recipient_tenant_id, dead_at) where dead_at is not null;
