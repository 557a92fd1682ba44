-- Rows from before are checked as new ones are. Locks no table against writes. Older code runs on as it is.

alter table grants
  validate constraint grants_interact_ref_hash_check,
  validate constraint grants_finish,
  validate constraint grants_pending;
