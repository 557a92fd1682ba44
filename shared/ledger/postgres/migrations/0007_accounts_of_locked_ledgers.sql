-- A batch writes accounts of the ledgers that it has locked, and no others. An event that named an account of another ledger was refused,
-- but what had been read of that account was written back with the rest of the batch, over what others had booked meanwhile; and an
-- account that others made meanwhile failed the batch. Code from before survives: the function has the same parameters and says the same.
--
-- As before, but for accounts of other ledgers.
create or replace function ledger.apply_in_order(
  p_now timestamptz, -- null: the database's clock
  p_accounts uuid[], -- distinct, named by movements
  p_ledgers integer[], -- named by movements
  p_keys uuid[], -- distinct transfer ids: of the events, and of the pending transfers they name
  -- Per event. The first two are places in p_keys, or 0; debit and credit are places in p_accounts.
  p_key integer[],
  p_pending integer[],
  p_chain_end integer[], -- the last event of its chain
  p_refusal text[], -- what is wrong with the event by itself, or null
  p_kind integer[], -- 0 posted, 1 pending, 2 post, 3 void, 4 close
  p_linked boolean[],
  p_debit integer[],
  p_credit integer[],
  p_ledger integer[],
  p_code integer[],
  p_amount numeric[], -- null: all of the pending transfer
  p_timeout integer[],
  p_user_data_128 uuid[], -- these three null: none, or those of the pending transfer
  p_user_data_64 bigint[],
  p_user_data_32 integer[]
) returns text
language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_mergejoin = off set jit = off as $$
declare
  c_most constant numeric := 340282366920938463463374607431768211455; -- 2^128 - 1
  c_zero constant uuid := '00000000-0000-0000-0000-000000000000';
  n integer := cardinality(p_key);
  r record;
  v_locked integer[];
  v_now timestamptz;
  v_batch bigint;
  v_accounts uuid[]; -- p_accounts and those of the pending transfers
  v_status text[] := array_fill(null::text, array[n]);
  v_created boolean := false;
  v_hold uuid[]; -- per event that created a pending transfer: its hold,
  v_bit integer[]; -- its bit there,
  v_size integer[]; -- and how many bits there are
  v_texts text[] := array_fill(null::text, array[cardinality(p_keys)]);
  v_integers integer[] := array_fill(null::integer, array[cardinality(p_keys)]);
  -- Per account; ledger null: there is no such account.
  a_ledger integer[];
  a_debits_limited boolean[];
  a_credits_limited boolean[];
  a_closed boolean[];
  a_dp numeric[];
  a_dq numeric[];
  a_cp numeric[];
  a_cq numeric[];
  -- Per key, of the transfer stored under it or created by this batch; kind null: there is none.
  k_kind integer[] := v_integers;
  k_event integer[] := v_integers; -- the event that created it
  k_linked boolean[] := v_texts::boolean[];
  k_debit integer[] := v_integers;
  k_credit integer[] := v_integers;
  k_ledger integer[] := v_integers;
  k_code integer[] := v_integers;
  k_amount numeric[] := v_integers::numeric[];
  k_timeout integer[] := v_integers;
  k_user_data_128 uuid[] := v_texts::uuid[];
  k_user_data_64 bigint[] := v_integers::bigint[];
  k_user_data_32 integer[] := v_integers;
  k_pending integer[] := v_integers;
  k_state text[] := v_texts; -- of pending and closing transfers: open, posted, voided, expired
  k_hold uuid[] := v_texts::uuid[];
  k_bit integer[] := v_integers;
  k_zero bit varying[] := v_texts::bit varying[]; -- as many bits as its hold has
  -- The chain at hand.
  v_first integer := 1;
  v_last integer;
  v_existing integer; -- so many events from its start exist already
  v_stop text;
  i integer;
  k integer;
  q integer;
  d integer;
  c integer;
  v numeric; -- amount of the event
  w numeric; -- amount of the pending transfer
  x_user_data_128 uuid;
  x_user_data_64 bigint;
  x_user_data_32 integer;
begin
  -- Transfers never change, so what pending transfers are about may be read before the locks; what became of them may not.
  select array_agg(distinct t.ledger), array_agg(distinct side.id)
  into v_locked, v_accounts
  from unnest(p_pending) p(at)
  cross join lateral (select * from ledger.transfers x where x.id = p_keys[p.at] limit 1) t
  cross join lateral unnest(array[t.debit_account_id, t.credit_account_id]) side(id)
  where p.at > 0;
  v_locked := p_ledgers || coalesce(v_locked, '{}');
  perform ledger.take_locks(ledger.locks_of(v_locked));
  v_now := coalesce(p_now, clock_timestamp());
  -- An expired reservation blocks nobody, even before the sweep came by.
  perform ledger.expire_holds(v_locked, v_now, 500);

  v_accounts := p_accounts || array(
    select u.id from unnest(v_accounts) u(id) where u.id not in (select unnest(p_accounts))
  );
  a_ledger := array_fill(null::integer, array[cardinality(v_accounts)]);
  a_debits_limited := a_ledger::boolean[];
  a_credits_limited := a_ledger::boolean[];
  a_closed := a_ledger::boolean[];
  a_dp := a_ledger::numeric[];
  a_dq := a_ledger::numeric[];
  a_cp := a_ledger::numeric[];
  a_cq := a_ledger::numeric[];
  for r in
    select u.at, a.* from unnest(v_accounts) with ordinality u(id, at)
    cross join lateral (select * from ledger.accounts x where x.id = u.id limit 1) a
  loop
    a_ledger[r.at] := r.ledger;
    a_debits_limited[r.at] := r.debits_must_not_exceed_credits;
    a_credits_limited[r.at] := r.credits_must_not_exceed_debits;
    a_closed[r.at] := r.closed;
    a_dp[r.at] := r.debits_pending;
    a_dq[r.at] := r.debits_posted;
    a_cp[r.at] := r.credits_pending;
    a_cq[r.at] := r.credits_posted;
  end loop;

  for r in
    select u.at, t.*, debit.at as debit, credit.at as credit, pending.at as pending,
      case
        when t.kind not in (1, 4) then null
        -- It was not there when the locks were chosen: not yet there for this batch.
        when t.ledger <> all (v_locked) then 'unknown'
        when get_bit(h.posted, t.hold_bit) = 1 then 'posted'
        when get_bit(h.voided, t.hold_bit) = 1 then 'voided'
        when get_bit(h.open, t.hold_bit) = 0 or h.expires_at <= v_now then 'expired'
        else 'open'
      end as state,
      h.open & ~h.open as zero
    from unnest(p_keys) with ordinality u(id, at)
    cross join lateral (select * from ledger.transfers x where x.id = u.id limit 1) t
    left join lateral (select * from ledger.holds x where x.id = t.hold_id limit 1) h on true
    left join unnest(v_accounts) with ordinality debit(id, at) on debit.id = t.debit_account_id
    left join unnest(v_accounts) with ordinality credit(id, at) on credit.id = t.credit_account_id
    left join unnest(p_keys) with ordinality pending(id, at) on pending.id = t.pending_id
  loop
    k_kind[r.at] := r.kind;
    k_linked[r.at] := r.linked;
    k_debit[r.at] := r.debit;
    k_credit[r.at] := r.credit;
    k_ledger[r.at] := r.ledger;
    k_code[r.at] := r.code;
    k_amount[r.at] := r.amount;
    k_timeout[r.at] := r.timeout;
    k_user_data_128[r.at] := r.user_data_128;
    k_user_data_64[r.at] := r.user_data_64;
    k_user_data_32[r.at] := r.user_data_32;
    k_pending[r.at] := r.pending;
    k_state[r.at] := r.state;
    k_hold[r.at] := r.hold_id;
    k_bit[r.at] := r.hold_bit;
    k_zero[r.at] := r.zero;
  end loop;

  while v_first <= n loop
    v_last := p_chain_end[v_first];
    v_existing := 0;
    i := v_first;
    while i <= v_last loop
      k := p_key[i];
      q := p_pending[i];
      v := coalesce(p_amount[i], k_amount[q]);
      x_user_data_128 := coalesce(p_user_data_128[i], k_user_data_128[q], c_zero);
      x_user_data_64 := coalesce(p_user_data_64[i], k_user_data_64[q], 0);
      x_user_data_32 := coalesce(p_user_data_32[i], k_user_data_32[q], 0);
      v_stop := null;
      if p_refusal[i] = 'linked_event_chain_open' then
        v_stop := p_refusal[i];
      elsif k_kind[k] is not null then
        if p_kind[i] not in (2, 3) then
          v_stop := case when (p_kind[i], p_linked[i], p_debit[i], p_credit[i], p_ledger[i], p_code[i], v, p_timeout[i])
              is not distinct from
              (k_kind[k], k_linked[k], k_debit[k], k_credit[k], k_ledger[k], k_code[k], k_amount[k], k_timeout[k])
            then 'exists' end;
        else
          v_stop := case when (p_kind[i], p_linked[i], q, v)
              is not distinct from (k_kind[k], k_linked[k], k_pending[k], k_amount[k])
            then 'exists' end;
        end if;
        if v_stop is null or (x_user_data_128, x_user_data_64, x_user_data_32)
            is distinct from (k_user_data_128[k], k_user_data_64[k], k_user_data_32[k]) then
          v_stop := 'exists_with_different_fields';
        end if;
      elsif v_existing > 0 then
        -- Part of the chain exists and this event does not: the chain as a whole was never applied.
        v_stop := 'linked_event_failed';
      elsif p_refusal[i] is not null then
        v_stop := p_refusal[i];
      elsif p_kind[i] not in (2, 3) then
        d := p_debit[i];
        c := p_credit[i];
        if a_ledger[d] is null then
          v_stop := 'debit_account_not_found';
        elsif a_ledger[c] is null then
          v_stop := 'credit_account_not_found';
        elsif a_ledger[d] <> a_ledger[c] then
          v_stop := 'accounts_must_have_the_same_ledger';
        elsif a_ledger[d] <> p_ledger[i] then
          v_stop := 'transfer_must_have_the_same_ledger_as_accounts';
        elsif a_closed[d] then
          v_stop := 'debit_account_already_closed';
        elsif a_closed[c] then
          v_stop := 'credit_account_already_closed';
        elsif a_dp[d] + a_dq[d] + v > c_most or a_cp[c] + a_cq[c] + v > c_most then
          v_stop := 'overflows';
        elsif a_debits_limited[d] and a_dp[d] + a_dq[d] + v > a_cq[d] then
          v_stop := 'exceeds_credits';
        elsif a_credits_limited[c] and a_cp[c] + a_cq[c] + v > a_dq[c] then
          v_stop := 'exceeds_debits';
        elsif p_kind[i] = 0 then
          a_dq[d] := a_dq[d] + v;
          a_cq[c] := a_cq[c] + v;
        elsif p_kind[i] = 4 then
          a_closed[c] := true;
          k_state[k] := 'open';
        else
          a_dp[d] := a_dp[d] + v;
          a_cp[c] := a_cp[c] + v;
          k_state[k] := 'open';
          k_timeout[k] := p_timeout[i];
        end if;
        k_ledger[k] := p_ledger[i];
        k_code[k] := p_code[i];
      else
        if k_kind[q] is null or k_state[q] = 'unknown' then
          v_stop := 'pending_transfer_not_found';
        elsif k_kind[q] not in (1, 4) then
          v_stop := 'pending_transfer_not_pending';
        elsif v > k_amount[q] then
          v_stop := 'exceeds_pending_transfer_amount';
        elsif k_state[q] = 'posted' then
          v_stop := 'pending_transfer_already_posted';
        elsif k_state[q] = 'voided' then
          v_stop := 'pending_transfer_already_voided';
        elsif k_state[q] = 'expired' then
          v_stop := 'pending_transfer_expired';
        elsif p_kind[i] = 2 and a_closed[k_debit[q]] then
          v_stop := 'debit_account_already_closed';
        elsif p_kind[i] = 2 and a_closed[k_credit[q]] then
          v_stop := 'credit_account_already_closed';
        else
          d := k_debit[q];
          c := k_credit[q];
          w := k_amount[q];
          a_dp[d] := a_dp[d] - w;
          a_cp[c] := a_cp[c] - w;
          if p_kind[i] = 2 then
            a_dq[d] := a_dq[d] + v;
            a_cq[c] := a_cq[c] + v;
            k_state[q] := 'posted';
          else
            k_state[q] := 'voided';
            if k_kind[q] = 4 then
              a_closed[c] := false;
            end if;
          end if;
          k_pending[k] := q;
          k_ledger[k] := k_ledger[q];
          k_code[k] := k_code[q];
        end if;
      end if;

      if v_stop is null then
        k_kind[k] := p_kind[i];
        k_event[k] := i;
        k_linked[k] := p_linked[i];
        k_debit[k] := d;
        k_credit[k] := c;
        k_amount[k] := v;
        k_user_data_128[k] := x_user_data_128;
        k_user_data_64[k] := x_user_data_64;
        k_user_data_32[k] := x_user_data_32;
      elsif v_stop = 'exists' and v_existing = i - v_first and (k_event[k] < v_first) is not false then
        v_existing := v_existing + 1;
      else
        exit;
      end if;
      i := i + 1;
    end loop;

    if i > v_last then
      v_stop := case when v_existing > 0 then 'exists' else 'created' end;
      v_created := v_created or v_existing = 0;
      for j in v_first..v_last loop
        v_status[j] := v_stop;
      end loop;
    else
      for j in v_first..v_last loop
        v_status[j] := 'linked_event_failed';
      end loop;
      if v_existing > 0 then
        v_status[v_first] := 'exists';
      else
        v_status[i] := v_stop;
        while i > v_first loop -- undo
          i := i - 1;
          k := p_key[i];
          d := k_debit[k];
          c := k_credit[k];
          v := k_amount[k];
          k_kind[k] := null;
          k_event[k] := null;
          if p_kind[i] = 0 then
            a_dq[d] := a_dq[d] - v;
            a_cq[c] := a_cq[c] - v;
          elsif p_kind[i] = 1 then
            a_dp[d] := a_dp[d] - v;
            a_cp[c] := a_cp[c] - v;
            k_state[k] := null;
            k_timeout[k] := null;
          elsif p_kind[i] = 4 then
            a_closed[c] := false;
            k_state[k] := null;
          else
            q := p_pending[i];
            w := k_amount[q];
            a_dp[d] := a_dp[d] + w;
            a_cp[c] := a_cp[c] + w;
            if p_kind[i] = 2 then
              a_dq[d] := a_dq[d] - v;
              a_cq[c] := a_cq[c] - v;
            end if;
            if k_kind[q] = 4 then
              a_closed[c] := true;
            end if;
            k_state[q] := 'open';
            k_pending[k] := null;
          end if;
        end loop;
      end if;
      if p_refusal[v_last] = 'linked_event_chain_open' then
        v_status[v_last] := p_refusal[v_last];
      end if;
    end if;
    v_first := v_last + 1;
  end loop;

  if not v_created then
    return array_to_string(v_status, ',');
  end if;

  v_batch := nextval('ledger.batches');

  update ledger.holds h
  set open = h.open & ~(m.posted | m.voided),
    posted = h.posted | m.posted,
    voided = h.voided | m.voided,
    closed = position(B'1' in h.open & ~(m.posted | m.voided)) = 0
  from (
    select f.at, d.posted, d.voided from (
      select k_hold[u.k] as id,
        bit_or(case when k_state[u.k] = 'posted' then set_bit(k_zero[u.k], k_bit[u.k], 1) else k_zero[u.k] end) as posted,
        bit_or(case when k_state[u.k] = 'voided' then set_bit(k_zero[u.k], k_bit[u.k], 1) else k_zero[u.k] end) as voided
      from (
        select p_pending[e] as k from generate_series(1, n) e where v_status[e] = 'created' and p_pending[e] > 0
      ) u
      where k_hold[u.k] is not null
      group by 1
    ) d
    cross join lateral (select x.ctid as at from ledger.holds x where x.id = d.id limit 1) f
  ) m
  where h.ctid = m.at;

  update ledger.accounts a
  set debits_pending = a_dp[m.n], debits_posted = a_dq[m.n], credits_pending = a_cp[m.n], credits_posted = a_cq[m.n],
    closed = a_closed[m.n]
  from (
    select u.n, f.at from unnest(v_accounts) with ordinality u(id, n)
    cross join lateral (select x.ctid as at from ledger.accounts x where x.id = u.id limit 1) f
  ) m
  -- Others write accounts of ledgers that are not locked here, and make those that were not there: what was read of them is no truth.
  where a.ctid = m.at and a_ledger[m.n] = any (v_locked)
    and (a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted, a.closed)
    is distinct from (a_dp[m.n], a_dq[m.n], a_cp[m.n], a_cq[m.n], a_closed[m.n]);

  -- New pending transfers of one ledger and expiry share a hold.
  select array_agg(e.hold order by e.n), array_agg(e.bit order by e.n), array_agg(e.size order by e.n)
  into v_hold, v_bit, v_size
  from (
    select g.n, g.is_new,
      case when g.is_new then first_value(p_keys[p_key[g.n]]) over (
        partition by g.is_new, p_ledger[g.n], p_timeout[g.n] order by g.n) end as hold,
      case when g.is_new then row_number() over (
        partition by g.is_new, p_ledger[g.n], p_timeout[g.n] order by g.n) - 1 end as bit,
      case when g.is_new then count(*) over (partition by g.is_new, p_ledger[g.n], p_timeout[g.n]) end as size
    from (select x as n, p_kind[x] in (1, 4) and v_status[x] = 'created' as is_new from generate_series(1, n) x) g
  ) e;

  with created as materialized (
    select x as n, p_key[x] as k, p_keys[p_key[x]] as id from generate_series(1, n) x where v_status[x] = 'created'
  ), written as (
    insert into ledger.transfers (
      sequence, created_at, user_data_64, ledger, user_data_32, code, kind, linked, id, debit_account_id,
      credit_account_id, user_data_128, amount, timeout, hold_id, hold_bit, pending_id)
    select v_batch * 1024 + e.n, v_now, k_user_data_64[e.k], k_ledger[e.k], k_user_data_32[e.k], k_code[e.k], k_kind[e.k],
      k_linked[e.k], e.id, v_accounts[k_debit[e.k]], v_accounts[k_credit[e.k]], k_user_data_128[e.k], k_amount[e.k],
      k_timeout[e.k], v_hold[e.n], v_bit[e.n], p_keys[k_pending[e.k]]
    from created e
  ), held as (
    insert into ledger.holds (id, expires_at, ledger, closed, open, posted, voided, transfer_ids)
    select v_hold[e.n], coalesce(v_now + make_interval(secs => k_timeout[min(e.k)]), 'infinity'), k_ledger[min(e.k)],
      bool_and(k_state[e.k] <> 'open'),
      string_agg(case when k_state[e.k] = 'open' then '1' else '0' end, '' order by e.n)::bit varying,
      string_agg(case when k_state[e.k] = 'posted' then '1' else '0' end, '' order by e.n)::bit varying,
      string_agg(case when k_state[e.k] = 'voided' then '1' else '0' end, '' order by e.n)::bit varying,
      string_agg(uuid_send(e.id), '' order by e.n)
    from created e where v_hold[e.n] is not null
    group by v_hold[e.n]
  )
  insert into ledger.transfer_index (subject, batch, debits, credits, tagged)
  select side.subject, v_batch,
    coalesce(string_agg(uuid_send(e.id), '' order by e.n) filter (where side.role = 1), ''),
    coalesce(string_agg(uuid_send(e.id), '' order by e.n) filter (where side.role = 2), ''),
    coalesce(string_agg(uuid_send(e.id), '' order by e.n) filter (where side.role = 3), '')
  from created e
  cross join lateral unnest(
    array[v_accounts[k_debit[e.k]], v_accounts[k_credit[e.k]], k_user_data_128[e.k]], array[1, 2, 3]
  ) side(subject, role)
  where side.subject <> c_zero
  group by side.subject;

  return (
    select string_agg(
      v_status[x] || coalesce(':' || v_hold[x] || ':' || v_bit[x] || ':' || v_size[x], ''), ',' order by x)
    from generate_series(1, n) x
  );
end $$;
