-- Accounts are made by one statement, where nothing is a chain and nothing is wrong with any of them; before, each was looked up and
-- made by statements of its own. Code from before survives: the function has the same parameters and says the same.
create or replace function ledger.create_accounts(
  p_now timestamptz,
  p_ids uuid[],
  p_chain_end integer[],
  p_refusal text[],
  p_ledger integer[],
  p_code integer[],
  p_debits_limited boolean[],
  p_credits_limited boolean[],
  p_linked boolean[],
  p_user_data_128 uuid[],
  p_user_data_64 bigint[],
  p_user_data_32 integer[]
) returns text
language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
declare
  n integer := cardinality(p_ids);
  v_now timestamptz;
  v_taken text;
  v_made uuid[];
  v_found ledger.accounts;
  v_status text[] := array_fill(null::text, array[n]);
  v_first integer := 1;
  v_last integer;
  v_existing integer;
  v_stop text;
  i integer;
begin
  -- One process at a time: a chain must see whole what another one creates.
  v_taken := ledger.take_locks(array[128]);
  v_now := coalesce(p_now, clock_timestamp());

  -- Several, where nothing is a chain and nothing is wrong by itself, are made by one statement. A single one takes no more below.
  if n > 1 and true <> all (p_linked) and cardinality(array_remove(p_refusal, null)) = 0 then
    with made as (
      insert into ledger.accounts (id, ledger, code, debits_must_not_exceed_credits, credits_must_not_exceed_debits,
        linked, user_data_128, user_data_64, user_data_32, created_at)
      select p_ids[e], p_ledger[e], p_code[e], p_debits_limited[e], p_credits_limited[e], p_linked[e], p_user_data_128[e],
        p_user_data_64[e], p_user_data_32[e], v_now
      from generate_series(1, n) e
      on conflict (id) do nothing
      returning id
    )
    select array_agg(m.id) into v_made from made m;
    if cardinality(v_made) = n then
      return array_to_string(array_fill('created'::text, array[n]), ',');
    end if;
    -- An id that comes twice is made by its first event.
    return (
      select string_agg(
        case
          when a.id = any (v_made) and array_position(p_ids, a.id) = e then 'created'
          when (a.ledger, a.code, a.debits_must_not_exceed_credits, a.credits_must_not_exceed_debits, a.linked,
              a.user_data_128, a.user_data_64, a.user_data_32) is not distinct from
            (p_ledger[e], p_code[e], p_debits_limited[e], p_credits_limited[e], p_linked[e], p_user_data_128[e],
              p_user_data_64[e], p_user_data_32[e])
            then 'exists'
          else 'exists_with_different_fields'
        end, ',' order by e)
      from generate_series(1, n) e
      cross join lateral (select * from ledger.accounts x where x.id = p_ids[e] limit 1) a
    );
  end if;

  while v_first <= n loop
    v_last := p_chain_end[v_first];
    v_existing := 0;
    i := v_first;
    while i <= v_last loop
      v_stop := null;
      select * into v_found from ledger.accounts a where a.id = p_ids[i];
      if p_refusal[i] = 'linked_event_chain_open' then
        v_stop := p_refusal[i];
      elsif v_found.id is not null then
        v_stop := case when (v_found.ledger, v_found.code, v_found.debits_must_not_exceed_credits,
            v_found.credits_must_not_exceed_debits, v_found.linked, v_found.user_data_128, v_found.user_data_64,
            v_found.user_data_32) is not distinct from
          (p_ledger[i], p_code[i], p_debits_limited[i], p_credits_limited[i], p_linked[i], p_user_data_128[i],
            p_user_data_64[i], p_user_data_32[i])
          then 'exists' else 'exists_with_different_fields' end;
      elsif v_existing > 0 then
        v_stop := 'linked_event_failed';
      elsif p_refusal[i] is not null then
        v_stop := p_refusal[i];
      else
        insert into ledger.accounts (id, ledger, code, debits_must_not_exceed_credits, credits_must_not_exceed_debits,
          linked, user_data_128, user_data_64, user_data_32, created_at)
        values (p_ids[i], p_ledger[i], p_code[i], p_debits_limited[i], p_credits_limited[i], p_linked[i],
          p_user_data_128[i], p_user_data_64[i], p_user_data_32[i], v_now);
      end if;
      if v_stop = 'exists' and v_existing = i - v_first then
        v_existing := v_existing + 1;
      elsif v_stop is not null then
        exit;
      end if;
      i := i + 1;
    end loop;

    if i > v_last then
      for j in v_first..v_last loop
        v_status[j] := case when v_existing > 0 then 'exists' else 'created' end;
      end loop;
    else
      for j in v_first..v_last loop
        v_status[j] := 'linked_event_failed';
      end loop;
      if v_existing > 0 then
        v_status[v_first] := 'exists';
      else
        v_status[i] := v_stop;
        for j in v_first..i - 1 loop
          delete from ledger.accounts a where a.id = p_ids[j];
        end loop;
      end if;
      if p_refusal[v_last] = 'linked_event_chain_open' then
        v_status[v_last] := p_refusal[v_last];
      end if;
    end if;
    v_first := v_last + 1;
  end loop;
  return array_to_string(v_status, ',');
end $$;
