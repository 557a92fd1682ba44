-- Quotes are listed by wallet address only. Code from before survives.

drop index concurrently if exists quotes_page;
