-- Packets that bring words of the sender: the wallet is asked before their money is taken. Code from before survives: it asks nobody,
-- and delivers such events without the words.

-- What a wallet was asked about a packet, and what it says; the last word counts.
create table incoming_payment_decisions (
  -- Follows from the packet, so that the same packet is asked about once.
  partial_incoming_payment_id uuid primary key,
  incoming_payment_id uuid not null references incoming_payments (id) on delete cascade,
  asked_at timestamptz not null,
  -- Null: it has not answered.
  accepted boolean,
  -- Words for the sender.
  reason text check (reason is null or not accepted),
  decided_at timestamptz,
  check ((accepted is null) = (decided_at is null))
);
create index incoming_payment_decisions_payment on incoming_payment_decisions (incoming_payment_id);

-- The field of an event that is encrypted at rest: `dataFromSender` of `data`.
alter table webhook_events add column data_from_sender_sealed text;
