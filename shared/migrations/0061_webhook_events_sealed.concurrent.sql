-- Events with something sealed, for those who seal it anew when keys change.

create index concurrently webhook_events_sealed on webhook_events (id) where data_from_sender_sealed is not null;
