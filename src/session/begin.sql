-- Before the model: find or create the conversation, store the question, read what came before.
-- $1 the conversation that the reader names, or null   $2 the id of a new one
-- $3 the question's id   $4 its text   $5 its passage, or null   $6 how many messages before it
--
-- The branches see the database as it was before the statement, so the history cannot hold the
-- question; but after a retry the first run's question is there, hence `id <> $3`, and so is the
-- conversation that it made, hence `id = $2`. The first run may even be committing at this very
-- moment, unseen: hence an insert that takes a conflicting row for its own.
with found as (
    select id from chat_sessions where id = $1 or id = $2
),
created as (
    insert into chat_sessions (id)
    select $2 where not exists (select from found)
    on conflict (id) do update set updated_at = chat_sessions.updated_at
    returning id
),
session as (
    select id from found union all select id from created
),
question as (
    insert into messages (id, session_id, role, content, selected_text)
    select $3, id, 'user', $4, $5 from session
    on conflict (id) do nothing
),
history as (
    select seq, role::text as role, content, selected_text
    from messages
    where session_id = (select id from found) and id <> $3 and role <> 'system'
    order by seq desc
    limit $6
)
select session.id, history.role, history.content, history.selected_text
from session left join history on true
order by history.seq
