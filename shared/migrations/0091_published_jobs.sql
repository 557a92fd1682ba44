-- Jobs that a broker carries (QUEUE_DRIVER redis or sqs). Code from before survives: it works on jobs whether a message is on its way or not.

alter table jobs
  -- Until when a message about the job counts as being on its way; null: there is none. The relay publishes what has none, and after
  -- that time publishes again. In no index: setting it touches the row alone.
  add column published_until timestamptz;
