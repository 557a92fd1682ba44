-- Wallet addresses to look at: those that packets may have credited, and those whose money waits to be announced.

create index concurrently wallet_addresses_credited on wallet_addresses (id) where credits_expected_until is not null;
create index concurrently wallet_addresses_announce on wallet_addresses (announce_at) where announce_at is not null;
