-- Identity providers are found by their secret, with one look-up instead of opening every tenant's. Keyed (fingerprint of
-- shared/platform/secret-box.ts), so the column tells nothing without the key. Rows of older code are filled in at the next
-- start. Older code runs on; a secret that it changes meanwhile counts for newer code from that code's next start.

alter table tenants add column idp_secret_hash bytea check (length(idp_secret_hash) = 32);
create index tenants_idp_secret on tenants (idp_secret_hash) where idp_secret_hash is not null;
