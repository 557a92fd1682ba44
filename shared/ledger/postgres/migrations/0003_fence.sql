-- The fence of a ledger that has moved to TigerBeetle: while its row is there, nothing is booked here. Code from before survives, and is
-- kept out as well: it takes the same locks.
create table ledger.fence (
  -- One row at most.
  id boolean primary key default true check (id),
  raised_at timestamptz not null default clock_timestamp(),
  -- Where the books are now, for people.
  moved_to text not null
);

-- Takes locks in ascending order, so batches never deadlock. Whatever books comes by here, so here it is turned away: behind the locks,
-- because who raises the fence has all of them, and what waited meanwhile must see it.
create or replace function ledger.take_locks(p_locks integer[]) returns void
language plpgsql as $$
declare
  v_lock integer;
  v_last integer := -1;
  v_taken text;
begin
  -- Every statement after the locks must see what the former holder committed.
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'the ledger needs read committed, not %', current_setting('transaction_isolation');
  end if;
  -- An acknowledged transfer survives a crash, whatever the server's default is.
  if current_setting('synchronous_commit') = 'off' then
    set local synchronous_commit = on;
  end if;
  foreach v_lock in array p_locks loop
    if v_lock <= v_last then
      raise exception 'locks must ascend: %', p_locks;
    end if;
    v_last := v_lock;
    -- An assignment is evaluated without a query, which "perform" is not.
    v_taken := pg_advisory_xact_lock(1431324499, v_lock);
  end loop;
  if exists (select from ledger.fence) then
    raise exception 'the ledger has moved to %', (select moved_to from ledger.fence) using errcode = 'UL002';
  end if;
end $$;

-- Every lock there is: those of ledgers, and that of new accounts.
create function ledger.take_all_locks() returns void
language plpgsql as $$
begin
  perform ledger.take_locks(array(select generate_series(0, 128)));
end $$;
