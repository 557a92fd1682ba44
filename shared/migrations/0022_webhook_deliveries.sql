-- Deliveries from before are like new ones. Locks no table against writes. Code from before survives.

update webhook_deliveries set dead_at = updated_at where state = 'dead';
alter table webhook_deliveries
  validate constraint webhook_deliveries_endpoint_check,
  validate constraint webhook_deliveries_latency_ms_check;
