-- Grants that are listed by their state or by the reason for which they are final are read along an index, however many others there
-- are. Older code runs on as it is.

create index concurrently grants_outcome on grants (tenant_id, (coalesce(finalization_reason, state)), created_at, id);
create index concurrently grants_outcome_all on grants ((coalesce(finalization_reason, state)), created_at, id);
