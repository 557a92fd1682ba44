-- Rows from before are checked as new ones are. Locks no table against writes. Code from before survives.

alter table wallet_addresses validate constraint wallet_addresses_announced;
