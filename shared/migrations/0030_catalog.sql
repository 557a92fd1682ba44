-- Money that packets bring to wallet addresses themselves (SPSP) is announced. Code from before survives: its connectors note no
-- packets, so what they bring is announced once a new one has seen the address.

alter table wallet_addresses
  -- Until when packets that were let in may still credit the address. Set before the first of them; cleared by the sweep that has
  -- counted what came. Null: everything that came was looked at.
  add column credits_expected_until timestamptz,
  -- When the money that waits is announced, if nothing does so earlier (WITHDRAWAL_THROTTLE_DELAY).
  add column announce_at timestamptz,
  -- Announced in all: a sum of amounts.
  alter column total_events_amount type numeric(39, 0),
  add constraint wallet_addresses_announced check (total_events_amount >= 0);

create index wallet_addresses_credited on wallet_addresses (id) where credits_expected_until is not null;
create index wallet_addresses_announce on wallet_addresses (announce_at) where announce_at is not null;

-- What came before is looked at once.
update wallet_addresses set credits_expected_until = now();
