-- After the model: store the answer, touch the conversation.
-- $1 the answer's id   $2 the conversation   $3 the answer   $4 the question that it answers
-- $5 its state
--
-- Run again after a retry, it stores nothing twice and returns the first run's time. Where the
-- conversation has been deleted meanwhile, it stores and returns nothing.
with session as (
    update chat_sessions set updated_at = now() where id = $2 returning id
),
answer as (
    insert into messages (id, session_id, role, content, reply_to, state)
    select $1, id, 'assistant', $3, $4, $5 from session
    on conflict (id) do update set id = excluded.id
    returning created_at
)
select created_at from answer
