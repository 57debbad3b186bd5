-- A conversation of a reader's own, with a page of its messages.
-- $1 the conversation   $2 its owner   $3 only messages after this one, or null
-- $4 whether newest first   $5 the most messages
--
-- No row: the reader has no such conversation. One row without a message: it has no (more) messages.
with conversation as (
    select id, created_at, title from chat_sessions where id = $1 and owner = $2
),
after as (
    select seq from messages where id = $3 and session_id = $1 and role <> 'system'
),
page as (
    -- Only one of the two runs; each walks the index from the cursor.
    (
        select * from messages
        where not $4 and session_id = (select id from conversation) and role <> 'system'
            and ($3 is null or seq > (select seq from after))
        order by seq limit $5
    )
    union all
    (
        select * from messages
        where $4 and session_id = (select id from conversation) and role <> 'system'
            and ($3 is null or seq < (select seq from after))
        order by seq desc limit $5
    )
)
select
    conversation.id, conversation.created_at, conversation.title,
    $3 is null or exists (select from after) as known_cursor,
    page.id as message_id, page.role::text as role, page.content, page.selected_text,
    page.created_at as message_created_at,
    page.parts::text as parts, page.inference_options::text as options,
    page.citations::text as citations
from conversation left join page on true
order by case when $4 then -page.seq else page.seq end
