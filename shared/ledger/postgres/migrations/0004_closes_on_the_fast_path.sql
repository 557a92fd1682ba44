-- Accounts are closed, opened for one chain and closed again on the fast path too: a batch with a closing transfer, or with the void of
-- one, took the ordered path with everything else in it. The function has one parameter more than the former one, which stays for
-- processes from before: what either writes is the same, and so are the locks. It goes when none of them can run any more.
--
-- Applies a batch of which every event is expected to succeed, as described in 0001.
create function ledger.apply_clean(
  p_now timestamptz, -- null: the database's clock
  p_locks integer[], -- of the ledgers, ascending
  -- Accounts and then other subjects. The next eight are per account: they have as many entries as there are accounts.
  p_subjects uuid[],
  p_ledgers integer[],
  p_debits_pending bigint[],
  p_debits_posted bigint[],
  p_credits_pending bigint[],
  p_credits_posted bigint[],
  p_debit_need bigint[], -- what the account must be able to be debited before the batch, for its events to pass in their order
  p_credit_need bigint[],
  -- Whether it must be closed before the batch (2) plus whether it is closed behind it (1); null: it may be either, and stays so.
  p_closed integer[],
  -- Per subject.
  p_index_debits bytea[],
  p_index_credits bytea[],
  p_index_tagged bytea[],
  -- Per transfer. Debit, credit and tag (or 0) are places in p_subjects, hold is one in p_new_holds.
  p_ids uuid[],
  p_meta integer[], -- kind + 8 × linked + 16 × code
  p_debits integer[],
  p_credits integer[],
  p_tags integer[],
  p_amounts bigint[],
  p_user_data_64 bigint[],
  p_user_data_32 integer[],
  p_timeouts integer[], -- these three of pending and closing transfers, otherwise null; closing ones have no end
  p_holds integer[],
  p_hold_bits integer[],
  p_pending_ids uuid[], -- of posts and voids
  -- Per new hold.
  p_new_holds uuid[],
  p_hold_ledgers integer[],
  p_hold_timeouts integer[], -- null: it has no end
  p_hold_open bit varying[],
  p_hold_ids bytea[],
  -- Per hold that the batch posts or voids transfers of.
  p_resolved uuid[],
  p_posted bit varying[],
  p_voided bit varying[]
) returns boolean
language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_memoize = off set jit = off as $$
declare
  v_now timestamptz;
  v_taken text;
  v_batch bigint;
  v_accounts integer := cardinality(p_ledgers);
  v_rows bigint;
begin
  -- An assignment is evaluated without a query, which "perform" is not.
  v_taken := ledger.take_locks(p_locks);
  -- After the locks: times within a ledger follow the order of commits.
  v_now := coalesce(p_now, clock_timestamp());
  v_batch := nextval('ledger.batches');
  begin
    if cardinality(p_resolved) > 0 then
      update ledger.holds h
      set open = h.open & ~(p_posted[n] | p_voided[n]),
        posted = h.posted | p_posted[n],
        voided = h.voided | p_voided[n],
        closed = position(B'1' in h.open & ~(p_posted[n] | p_voided[n])) = 0
      from generate_series(1, cardinality(p_resolved)) n
      where h.id = any (array[p_resolved[n]]) and h.expires_at > v_now
        and h.open & (p_posted[n] | p_voided[n]) = (p_posted[n] | p_voided[n]);
      get diagnostics v_rows = row_count;
      if v_rows <> cardinality(p_resolved) then
        raise exception 'not clean' using errcode = 'UL001';
      end if;
    end if;

    update ledger.accounts a
    set debits_pending = a.debits_pending + p_debits_pending[n],
      debits_posted = a.debits_posted + p_debits_posted[n],
      credits_pending = a.credits_pending + p_credits_pending[n],
      credits_posted = a.credits_posted + p_credits_posted[n],
      closed = coalesce(p_closed[n] & 1 = 1, a.closed)
    from generate_series(1, v_accounts) n
    where a.id = any (array[p_subjects[n]]) and a.ledger = p_ledgers[n]
      and a.closed = coalesce(p_closed[n] & 2 = 2, a.closed)
      and (not a.debits_must_not_exceed_credits
        or a.debits_pending + a.debits_posted + p_debit_need[n] <= a.credits_posted)
      and (not a.credits_must_not_exceed_debits
        or a.credits_pending + a.credits_posted + p_credit_need[n] <= a.debits_posted)
      -- 2^126: a batch cannot overflow from here.
      and greatest(a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted)
        < 85070591730234615865843651857942052864;
    get diagnostics v_rows = row_count;
    if v_rows <> v_accounts then
      raise exception 'not clean' using errcode = 'UL001';
    end if;

    insert into ledger.transfers (
      sequence, created_at, user_data_64, ledger, user_data_32, code, kind, linked, id, debit_account_id,
      credit_account_id, user_data_128, amount, timeout, hold_id, hold_bit, pending_id)
    select v_batch * 1024 + i, v_now, p_user_data_64[i], p_ledgers[p_debits[i]], p_user_data_32[i], p_meta[i] >> 4,
      p_meta[i] & 7, p_meta[i] & 8 <> 0, p_ids[i], p_subjects[p_debits[i]], p_subjects[p_credits[i]],
      coalesce(p_subjects[p_tags[i]], '00000000-0000-0000-0000-000000000000'),
      p_amounts[i], p_timeouts[i], p_new_holds[p_holds[i]], p_hold_bits[i], p_pending_ids[i]
    from generate_series(1, cardinality(p_ids)) i;

    insert into ledger.transfer_index (subject, batch, debits, credits, tagged)
    select p_subjects[n], v_batch, p_index_debits[n], p_index_credits[n], p_index_tagged[n]
    from generate_series(1, cardinality(p_subjects)) n;

    if cardinality(p_hold_ledgers) > 0 then
      insert into ledger.holds (id, expires_at, ledger, closed, open, posted, voided, transfer_ids)
      select p_new_holds[n], coalesce(v_now + make_interval(secs => p_hold_timeouts[n]), 'infinity'), p_hold_ledgers[n], false,
        p_hold_open[n], p_hold_open[n] & ~p_hold_open[n], p_hold_open[n] & ~p_hold_open[n], p_hold_ids[n]
      from generate_series(1, cardinality(p_hold_ledgers)) n;
    end if;
    return true;
  exception when sqlstate 'UL001' or unique_violation or check_violation then
    return false;
  end;
end $$;
