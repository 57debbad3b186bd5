-- What each of the last days has cost, and how many answers are still there of it; the newest first.
-- $1 how many days, today included
with days as (
    select generate_series(0, $1 - 1) as ago, (now() at time zone 'utc')::date as today
),
spent as (
    -- Shard -1 is what the book's index has cost.
    select day,
        coalesce(sum(nanos) filter (where shard >= 0), 0)::bigint as readers,
        coalesce(sum(nanos) filter (where shard < 0), 0)::bigint as index
    from spending group by day
),
answered as (
    select (created_at at time zone 'utc')::date as day, count(*) as answers, count(citations) as searched
    from messages
    where role = 'assistant' and created_at >= ((now() at time zone 'utc')::date - $1) at time zone 'utc'
    group by 1
)
select to_char(today - ago, 'YYYY-MM-DD') as day,
    coalesce(readers, 0) as readers, coalesce(index, 0) as index,
    coalesce(answers, 0) as answers, coalesce(searched, 0) as searched
from days
left join spent on spent.day = today - ago
left join answered on answered.day = today - ago
where readers is not null or answers is not null
order by ago
