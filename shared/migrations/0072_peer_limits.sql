-- What a peer may send within an interval. Code from before survives: it limits no amounts.

alter table peers
  add column amount_limit numeric(20, 0) check (amount_limit > 0),
  add column amount_limit_seconds integer check (amount_limit_seconds between 1 and 86400),
  add constraint peers_amount_limit check ((amount_limit is null) = (amount_limit_seconds is null));
