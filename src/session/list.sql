-- The conversations of a reader.
-- $1 the owner   $2 only those after this one, or null   $3 whether newest first   $4 the most
-- conversations
--
-- The first row says whether $2 is one of them. Its other columns are null if there are none.
with after as (
    select created_at, id from chat_sessions where id = $2 and owner = $1
),
page as (
    -- Only one of the two runs; each walks the index from the cursor.
    (
        select id, created_at, title from chat_sessions
        where not $3 and owner = $1
            and ($2 is null or (created_at, id) > (select created_at, id from after))
        order by created_at, id limit $4
    )
    union all
    (
        select id, created_at, title from chat_sessions
        where $3 and owner = $1
            and ($2 is null or (created_at, id) < (select created_at, id from after))
        order by created_at desc, id desc limit $4
    )
)
select
    $2 is null or exists (select from after) as known_cursor, page.id, page.created_at, page.title
from (select) always left join page on true
order by
    case when not $3 then page.created_at end, case when not $3 then page.id end,
    case when $3 then page.created_at end desc, case when $3 then page.id end desc
