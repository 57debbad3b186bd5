-- A conversation for a page that reloads: its newest messages, oldest first.
-- $1 the conversation   $2 only messages before this one, or null   $3 the most messages
-- $4 the reader whose token came with it, or null
--
-- No row: there is no such conversation. One row of nulls: it has no such messages.
with page as (
    select id, seq, role::text as role, content, selected_text, created_at, state, reply_to,
        citations
    from messages
    where session_id = $1
        and role <> 'system'
        and ($2 is null or seq < (select seq from messages where id = $2 and session_id = $1))
    order by seq desc
    limit $3
)
select
    page.id, page.role, page.content, page.selected_text, page.created_at, page.state,
    page.reply_to, page.citations::text as citations
from chat_sessions left join page on true
where chat_sessions.id = $1 and (chat_sessions.owner is null or chat_sessions.owner = $4)
order by page.seq
