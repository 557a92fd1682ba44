-- What grants have spent, so that their limits hold at any concurrency: one row per grant, interval, side and asset, changed in the
-- statement that creates or ends a payment. Code from before survives, and refuses grants with limits; its payments are not counted,
-- and what it fails or cancels does not return to the grant: too little can be spent for a while, never too much.

create table grant_spending (
  tenant_id uuid not null references tenants (id),
  -- The authorization server's id.
  grant_id text not null,
  -- Of the interval that the grant's limits name; -infinity for the whole life of a grant without one.
  interval_start timestamptz not null,
  side text not null check (side in ('DEBIT', 'RECEIVE')),
  asset_code text not null,
  asset_scale smallint not null check (asset_scale between 0 and 255),
  -- What the payments counted here have spent or may still spend, in smallest units.
  amount numeric(39, 0) not null constraint grant_spending_not_negative check (amount >= 0),
  -- The grant's limit on this side. A payment that would pass it violates the constraint, and so nothing of it is written.
  amount_max numeric(20, 0),
  constraint grant_spending_within_limit check (amount <= amount_max),
  -- When a payment was last counted, by the database's clock.
  counted_at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, grant_id, interval_start, side, asset_code, asset_scale)
) with (fillfactor = 70);

alter table outgoing_payments
  -- Where it is counted; null where there is no grant.
  add column grant_interval_start timestamptz,
  -- What it counts: all of it from the beginning, and what was sent once it has failed or is cancelled.
  add column spent_debit_amount numeric(20, 0),
  add column spent_receive_amount numeric(20, 0),
  add constraint outgoing_payments_spent_debit_amount_check check (spent_debit_amount >= 0) not valid,
  add constraint outgoing_payments_spent_receive_amount_check check (spent_receive_amount >= 0) not valid,
  add constraint outgoing_payments_counted check (
    (spent_debit_amount is null) = (grant_interval_start is null)
    and (spent_receive_amount is null) = (grant_interval_start is null)
    and (grant_interval_start is null or grant_id is not null)) not valid;
