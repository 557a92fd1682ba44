-- A tenant's apiSecret that was changed stays good for as long as its tenant said. Code from before survives: it knows the new one only.

alter table tenants
  add column previous_api_secret_sealed text,
  add column previous_api_secret_until timestamptz,
  add constraint tenants_previous_api_secret check ((previous_api_secret_sealed is null) = (previous_api_secret_until is null));
