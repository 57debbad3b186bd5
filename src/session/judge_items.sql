-- What a reader thinks of items of a conversation of their own.
-- $1 the conversation   $2 its owner   $3 the items   $4 `positive` or `negative`
--
-- No row: the reader has no such conversation.
with conversation as (
    select id from chat_sessions where id = $1 and owner = $2
    -- It must not be deleted until they are stored.
    for key share
),
judged as (
    insert into message_feedback (session_id, item_id, kind)
    select conversation.id, item_id, $4
    from conversation, (select distinct unnest($3) as item_id) items
    -- Ids may be invented: a conversation that has so many judgements takes no new ones.
    where (select count(*) from message_feedback where session_id = conversation.id) < 1000
        or exists (
            select from message_feedback known
            where known.session_id = conversation.id and known.item_id = items.item_id
        )
    on conflict (session_id, item_id)
        do update set kind = excluded.kind, updated_at = now()
)
select id from conversation
