-- A conversation of a reader's own, with a page of its messages.
-- $1 the conversation   $2 its owner   $3 only messages after this one, or null
-- $4 whether newest first   $5 how many at the most
--
-- No row: there is no such conversation of this reader. One row without a message: no (more) messages.
with thread as (
    select id, created_at, title from chat_sessions where id = $1 and owner = $2
),
after as (
    select seq from messages where id = $3 and session_id = $1 and role <> 'system'
),
page as (
    -- One of the two runs; each walks the index from the cursor.
    (
        select * from messages
        where not $4 and session_id = (select id from thread) and role <> 'system'
            and ($3 is null or seq > (select seq from after))
        order by seq limit $5
    )
    union all
    (
        select * from messages
        where $4 and session_id = (select id from thread) and role <> 'system'
            and ($3 is null or seq < (select seq from after))
        order by seq desc limit $5
    )
)
select
    thread.id, thread.created_at, thread.title, $3 is null or exists (select from after),
    page.id, page.role::text, page.content, page.selected_text, page.created_at,
    page.parts::text, page.inference_options::text
from thread left join page on true
order by case when $4 then -page.seq else page.seq end
