-- What grants have spent before. Locks rows of payments under grants, and no table against writes. Code from before survives.

-- Grants had no limits until now, so all that they paid belongs to their whole life.
update outgoing_payments p
set grant_interval_start = '-infinity',
  spent_debit_amount = case p.state when 'CANCELLED' then 0 when 'FAILED' then least(q.debit_amount, p.sent_amount) else q.debit_amount end,
  spent_receive_amount = case p.state when 'CANCELLED' then 0
    when 'FAILED' then least(q.receive_amount, greatest(p.delivered_amount, div(q.receive_amount * p.sent_amount, q.source_amount)))
    else q.receive_amount end
from quotes q
where q.id = p.id and p.grant_id is not null;

insert into grant_spending (tenant_id, grant_id, interval_start, side, asset_code, asset_scale, amount)
select p.tenant_id, p.grant_id, p.grant_interval_start, s.side, s.asset_code, s.asset_scale, sum(s.amount)
from outgoing_payments p
join quotes q on q.id = p.id
join assets a on a.id = q.asset_id
cross join lateral (values
  ('DEBIT', a.code, a.scale, p.spent_debit_amount),
  ('RECEIVE', q.receive_asset_code, q.receive_asset_scale, p.spent_receive_amount)
) as s (side, asset_code, asset_scale, amount)
where p.grant_interval_start is not null
group by p.tenant_id, p.grant_id, p.grant_interval_start, s.side, s.asset_code, s.asset_scale;
