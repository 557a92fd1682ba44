-- Payments explain themselves: what would be lost of their story is noted in the statement that makes the change. Card payments keep
-- what the card said, and a payment may carry data to its receiver. Code from before survives: it writes no notes, and sends no data.

alter table incoming_payments
  -- Changes of state with their time and reason, oldest first: { at, kind, … }.
  add column history jsonb not null default '[]',
  add constraint incoming_payments_history_check check (jsonb_typeof(history) = 'array') not valid;

alter table outgoing_payments
  add column history jsonb not null default '[]',
  -- How often which node rejected packets with which ILP code: { code, triggeredBy, count }, most frequent first.
  add column packet_rejects jsonb not null default '[]',
  -- { requestId, data, initiatedAt } of a payment by card.
  add column card_details jsonb,
  -- What the wallet wants its receiver to get, sealed.
  add column data_to_transmit_sealed text,
  add constraint outgoing_payments_history_check check (jsonb_typeof(history) = 'array') not valid,
  add constraint outgoing_payments_packet_rejects_check check (jsonb_typeof(packet_rejects) = 'array') not valid,
  add constraint outgoing_payments_card_details_check check (card_details is null or initiated_by = 'CARD') not valid;
