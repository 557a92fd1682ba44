-- Rows from before are checked as new ones are. Locks no table against writes. Code from before survives.

alter table outgoing_payments
  validate constraint outgoing_payments_spent_debit_amount_check,
  validate constraint outgoing_payments_spent_receive_amount_check,
  validate constraint outgoing_payments_counted;
