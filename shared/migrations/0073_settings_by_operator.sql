-- URLs of the operator are trusted, and those that tenants set for themselves are not. Code from before survives: what it writes is
-- not trusted, and it trusts everything.

alter table tenant_settings
  -- Written by the operator, or by a tenant that repeated what the operator had written.
  add column by_operator boolean not null default false;
