-- Which request asked for a job, so that logs of the worker and of the connector name it. Code from before survives: it leaves it empty.
alter table jobs add column request_id text;
