-- Jobs are found by their keys, whatever plans were made of a small table: the next file makes this the table's primary key. An index on
-- events by payment goes that one with their types covers. Code from before survives.

create unique index concurrently jobs_by_key on jobs (key, queue);
drop index concurrently if exists webhook_events_outgoing_payment;
