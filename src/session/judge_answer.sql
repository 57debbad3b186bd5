-- What a reader thinks of an answer; said again, it takes the place of what they said before.
-- $1 the conversation   $2 the reader whose token came with it, or null   $3 the answer
-- $4 `positive` or `negative`
--
-- No row: there is no such conversation for this reader, or no such answer in it.
with conversation as (
    select id from chat_sessions where id = $1 and (owner is null or owner = $2)
    -- It must not be deleted until this is stored.
    for key share
)
insert into message_feedback (session_id, item_id, kind)
select conversation.id, messages.id::text, $4
from conversation join messages on messages.session_id = conversation.id
where messages.id = $3 and messages.role = 'assistant'
on conflict (session_id, item_id)
    do update set kind = excluded.kind, updated_at = now()
returning item_id
