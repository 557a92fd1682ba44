-- Payments explain themselves: what would be lost of their story is noted in the statement that makes the change. Card payments keep
-- what the card said, and a payment may carry data to its receiver. Code from before survives: it writes no notes, and sends no data.

alter table incoming_payments
  -- Changes of state with their time and reason, oldest first: { at, kind, … }.
  add column history jsonb not null default '[]' check (jsonb_typeof(history) = 'array');

alter table outgoing_payments
  add column history jsonb not null default '[]' check (jsonb_typeof(history) = 'array'),
  -- How often which node rejected packets with which ILP code: { code, triggeredBy, count }, most frequent first.
  add column packet_rejects jsonb not null default '[]' check (jsonb_typeof(packet_rejects) = 'array'),
  -- { requestId, data, initiatedAt } of a payment by card.
  add column card_details jsonb check (card_details is null or initiated_by = 'CARD'),
  -- What the wallet wants its receiver to get, sealed.
  add column data_to_transmit_sealed text;
