-- One delivery for each recipient and endpoint, where it was one for each recipient. Code from before survives: it knows one endpoint.

alter table webhook_deliveries
  add constraint webhook_deliveries_once unique using index webhook_deliveries_once,
  drop constraint webhook_deliveries_event_id_recipient_tenant_id_key;
