-- The same as begin.sql for a request with an Idempotency-Key: one statement that also decides
-- whether the request may begin a turn.
-- $1 to $6 as in begin.sql   $7 the key's hash   $8 the request's hash   $9 the answer's id
-- $10 how many milliseconds the turn may take
--
-- `claim` holds a row if this request is the one that runs: the first with its key, or one after
-- a turn that failed, was cancelled or died, which then answers the question stored already, or
-- this very statement, run again. `known` holds a row if another one runs, or has been answered.
-- If neither does, another request has claimed the key in this very moment.
with found as (
    select id from chat_sessions where id = $1 or id = $2
),
claim as (
    insert into idempotency_keys as kept
        (key, request, session_id, question_id, answer_id, running_until)
    values (
        $7, $8, coalesce((select id from found limit 1), $2), $3, $9,
        now() + $10 * interval '1 millisecond'
    )
    on conflict (key) do update set
        request = excluded.request,
        session_id = case when kept.created_at < now() - interval '24 hours'
            then excluded.session_id else kept.session_id end,
        question_id = case when kept.created_at < now() - interval '24 hours'
            then excluded.question_id else kept.question_id end,
        created_at = case when kept.created_at < now() - interval '24 hours'
            then now() else kept.created_at end,
        answer_id = excluded.answer_id,
        running_until = excluded.running_until
    where kept.created_at < now() - interval '24 hours'
        or kept.answer_id = excluded.answer_id
        or (
            kept.request = excluded.request
            and kept.running_until < now()
            and not exists (
                select from messages where id = kept.answer_id and state = 'complete'
            )
        )
    returning session_id, question_id, answer_id
),
created as (
    insert into chat_sessions (id)
    -- Not one that was there: it may be being forgotten at this very moment.
    select session_id from claim where session_id = $2
    on conflict (id) do nothing
),
question as (
    insert into messages (id, session_id, role, content, selected_text)
    select question_id, session_id, 'user', $4, $5 from claim
    on conflict (id) do nothing
),
history as (
    select seq, role::text as role, content, selected_text
    from messages
    where session_id = (select session_id from claim)
        and seq < coalesce(
            (select seq from messages where id = (select question_id from claim)),
            9223372036854775807
        )
        and role <> 'system'
    order by seq desc
    limit $6
),
known as (
    select
        kept.request = $8 as same_request, kept.session_id, kept.question_id,
        answer.id as answer_id, answer.content, answer.created_at
    from idempotency_keys kept
    left join messages answer on answer.id = kept.answer_id and answer.state = 'complete'
    where kept.key = $7 and not exists (select from claim)
),
-- Each request with a key takes two dead ones along, so that they never pile up.
swept as (
    delete from idempotency_keys where key in (
        select key from idempotency_keys
        where created_at < now() - interval '24 hours' and key <> $7
        order by created_at
        limit 2
        for update skip locked
    )
)
select
    'begun' as outcome, claim.session_id, claim.question_id, claim.answer_id,
    null::timestamptz as answered_at,
    history.role, history.content, history.selected_text, history.seq
from claim left join history on true
union all
select
    case
        when not same_request then 'key_reused'
        when answer_id is null then 'in_progress'
        else 'answered'
    end,
    session_id, question_id, answer_id, created_at, null, content, null, null
from known
order by seq
