-- The key before the queue, see the file before. Code from before survives: it names both columns.

alter table jobs drop constraint jobs_pkey, add constraint jobs_pkey primary key using index jobs_by_key;
