-- Lists of the Admin API: the operator's over all tenants, and those that filter by identifier. Older code runs on as it is.

create index concurrently grants_page_all on grants (created_at desc, id desc);
create index concurrently accesses_identifier on accesses (identifier) where identifier is not null;
