-- Money that packets bring to wallet addresses themselves (SPSP) is announced. Code from before survives: its connectors note no
-- packets, so what they bring is announced once a new one has seen the address.

alter table wallet_addresses
  -- Until when packets that were let in may still credit the address. Set before the first of them; cleared by the sweep that has
  -- counted what came. Null: everything that came was looked at.
  -- What came before is looked at once: the default of this moment, for the rows that are there, and for no others.
  add column credits_expected_until timestamptz default now(),
  -- When the money that waits is announced, if nothing does so earlier (WITHDRAWAL_THROTTLE_DELAY).
  add column announce_at timestamptz,
  -- Announced in all: a sum of amounts.
  alter column total_events_amount type numeric(39, 0),
  add constraint wallet_addresses_announced check (total_events_amount >= 0) not valid;
alter table wallet_addresses alter column credits_expected_until drop default;
