-- Guards: what a network, a conversation and a day may spend, decided inside the statement that
-- begins a turn. That statement and the one that ends a turn become functions, whose plans
-- PostgreSQL keeps, and in which a refusal can return before anything is locked or written.
--
-- Functions of the version before go on with their own SQL on the same tables.

-- Who asked today. A network is an HMAC of the day and the address: it rotates with the day, and
-- nothing in here names anybody.
create table networks (
    network bytea primary key,
    day date not null,
    -- GCRA: when the next question would be due if all came evenly.
    due timestamptz not null,
    asked integer not null
);

create index networks_day on networks (day);

-- What a day has cost, in billionths of a dollar. In shards, for one row would be a queue.
create table spending (
    day date not null,
    shard smallint not null,
    nanos bigint not null,
    primary key (day, shard)
);

alter table chat_sessions
    add column due timestamptz not null default '-infinity';

-- A turn that cost nothing gives back its reservation once: then its question is settled for it.
-- The same question may have several turns, with several answers that never came.
alter table messages
    add column settled uuid;

-- Before the model. Returns one row whose `outcome` is `begun`, with the history in further rows
-- (oldest first; one row of nulls where there is none), or
--   answered, in_progress, key_reused   what became of the request with this key
--   network_pace, network_day, conversation_pace, budget   a refusal, with the wait
--
-- Safe to run twice: who finds the question stored charges nothing again. Where two turns meet, the
-- loser changes nothing and is to run once more (SQLSTATE of class TC): it then sees why.
create function begin_turn(
    named_session uuid, new_session uuid, new_question uuid, new_answer uuid,
    message text, passage text, history_messages bigint,
    -- The Idempotency-Key's hash, the request's hash, how long the turn may take; null without one.
    key_hash bytea, request_hash bytea, lease interval,
    -- Zero switches a limit off. An interval is the time between two questions at the pace.
    network_hash bytea, network_burst bigint, network_interval interval, network_daily bigint,
    conversation_burst bigint, conversation_interval interval,
    -- In billionths of a dollar: the day's, the turn's without its history, a byte's of that.
    budget bigint, fixed_cost bigint, byte_cost bigint, max_history_bytes bigint,
    spending_shard smallint,
    sweep boolean
)
returns table (
    outcome text, wait interval,
    session_id uuid, question_id uuid, answer_id uuid, answered_at timestamptz,
    reserved bigint, spending_day date,
    role text, content text, selected_text text
)
language plpgsql
as $$
#variable_conflict use_column
declare
    instant timestamptz := clock_timestamp();
    today date := (instant at time zone 'utc')::date;
    midnight interval := ((today + 1)::timestamp at time zone 'utc') - instant;
    this_session uuid;
    this_question uuid := new_question;
    known_session boolean;
    again boolean := false;
    kept idempotency_keys%rowtype;
    earlier messages%rowtype;
    network networks%rowtype;
    conversation_due timestamptz;
    cost bigint := fixed_cost;
    roles text[];
    contents text[];
    passages text[];
    bytes bigint;
    spent bigint;
begin
    -- The same request before, or this very statement, run again after its reply was lost.
    if key_hash is not null then
        select * into kept from idempotency_keys where key = key_hash;
        again := found and kept.answer_id = new_answer;
        if found and not again and kept.created_at >= instant - interval '24 hours' then
            if kept.request <> request_hash then
                return query select 'key_reused', null::interval, null::uuid, null::uuid, null::uuid,
                    null::timestamptz, null::bigint, null::date, null, null, null;
                return;
            end if;
            select * into earlier from messages where id = kept.answer_id and state = 'complete';
            if found or kept.running_until >= instant then
                return query select
                    case when earlier.id is null then 'in_progress' else 'answered' end,
                    null::interval, kept.session_id, kept.question_id, kept.answer_id,
                    earlier.created_at, null::bigint, null::date, null, earlier.content, null;
                return;
            end if;
            -- It failed, was cancelled or died: this one answers the question that is stored.
            this_question := kept.question_id;
        elsif again then
            this_question := kept.question_id;
        end if;
    end if;
    select messages.session_id into this_session from messages where id = this_question;
    if not found then
        this_session := named_session;
    elsif this_question = new_question then
        again := true;
    end if;
    select due into conversation_due from chat_sessions where id = this_session;
    known_session := found;
    if not known_session then
        this_session := new_session;
    end if;

    -- What came before the question.
    if known_session and history_messages > 0 then
        select array_agg(past.role order by past.seq), array_agg(past.content order by past.seq),
            array_agg(past.selected_text order by past.seq),
            -- With what fences and roles take.
            sum(octet_length(past.content) + coalesce(octet_length(past.selected_text), 0) + 150)
        into roles, contents, passages, bytes
        from (
            select seq, role::text as role, content, selected_text
            from messages
            where session_id = this_session
                and seq < coalesce(
                    (select seq from messages where id = this_question), 9223372036854775807
                )
                and role <> 'system'
            order by seq desc
            limit history_messages
        ) past;
    end if;
    -- A token is at least one byte.
    cost := fixed_cost + byte_cost * least(coalesce(bytes, 0), max_history_bytes);

    if not again then
        -- A look first: who is refused locks and writes nothing.
        if conversation_burst > 0
            and conversation_due - (conversation_burst - 1) * conversation_interval > instant then
            return query select 'conversation_pace',
                conversation_due - (conversation_burst - 1) * conversation_interval - instant,
                this_session, null::uuid, null::uuid, null::timestamptz, null::bigint, null::date,
                null, null, null;
            return;
        end if;
        select * into network from networks where networks.network = network_hash;
        if network_daily > 0 and network.asked >= network_daily then
            return query select 'network_day', midnight, null::uuid, null::uuid, null::uuid,
                null::timestamptz, null::bigint, null::date, null, null, null;
            return;
        end if;
        if network_burst > 0 and network.due - (network_burst - 1) * network_interval > instant then
            return query select 'network_pace',
                network.due - (network_burst - 1) * network_interval - instant,
                null::uuid, null::uuid, null::uuid, null::timestamptz, null::bigint, null::date,
                null, null, null;
            return;
        end if;
        if budget > 0 then
            select coalesce(sum(nanos), 0) into spent from spending where day = today;
            if spent + cost > budget then
                -- While there is room for a smaller turn, or for this one once others are settled,
                -- it is worth asking again today.
                return query select 'budget',
                    case when spent < budget then interval '10 seconds' else midnight end,
                    null::uuid, null::uuid, null::uuid,
                    null::timestamptz, null::bigint, null::date, null, null, null;
                return;
            end if;
        end if;

        -- Then the claims. Each decides once more, under the lock of its row: of many at once
        -- exactly as many get through as the limit allows.
        if known_session then
            update chat_sessions
            set updated_at = instant,
                due = case when conversation_burst = 0 then due
                    else greatest(due, instant) + conversation_interval end
            where id = this_session and (
                conversation_burst = 0
                or due - (conversation_burst - 1) * conversation_interval <= instant
            );
            if not found then
                raise exception using errcode = 'TC002', message = 'the conversation has changed';
            end if;
        end if;
        if network_burst > 0 or network_daily > 0 then
            insert into networks as claimed (network, day, due, asked)
            values (network_hash, today, instant + network_interval, 1)
            on conflict (network) do update set
                due = case when network_burst = 0 then claimed.due
                    else greatest(claimed.due, instant) + network_interval end,
                asked = claimed.asked + 1
            where (network_daily = 0 or claimed.asked < network_daily)
                and (
                    network_burst = 0
                    or claimed.due - (network_burst - 1) * network_interval <= instant
                );
            if not found then
                raise exception using errcode = 'TC003', message = 'the network has asked meanwhile';
            end if;
        end if;
        if budget > 0 then
            insert into spending as spent (day, shard, nanos)
            values (today, spending_shard, cost)
            on conflict (day, shard) do update set nanos = spent.nanos + excluded.nanos;
        end if;
    end if;

    -- Not one that was there: it may be being forgotten at this very moment.
    if not known_session then
        insert into chat_sessions (id, due)
        values (this_session, instant + conversation_interval)
        on conflict (id) do nothing;
    end if;
    if key_hash is not null then
        insert into idempotency_keys as claimed
            (key, request, session_id, question_id, answer_id, running_until)
        values (key_hash, request_hash, this_session, this_question, new_answer, instant + lease)
        on conflict (key) do update set
            request = excluded.request,
            session_id = excluded.session_id,
            question_id = excluded.question_id,
            answer_id = excluded.answer_id,
            running_until = excluded.running_until,
            created_at = case when claimed.created_at < instant - interval '24 hours'
                then instant else claimed.created_at end
        where claimed.answer_id = excluded.answer_id
            -- As it was when we looked; else another request was faster.
            or claimed.answer_id = kept.answer_id;
        if not found then
            raise exception using errcode = 'TC001', message = 'the key was claimed meanwhile';
        end if;
    end if;
    insert into messages (id, session_id, role, content, selected_text)
    values (this_question, this_session, 'user', message, passage)
    on conflict (id) do nothing;
    if not found and not again and this_question = new_question then
        -- The first run of this very statement was still at work when we looked.
        raise exception using errcode = 'TC004', message = 'the question was stored meanwhile';
    end if;

    if sweep then
        delete from networks where networks.network in (
            select dead.network from networks dead where dead.day < today
            limit 500 for update skip locked
        );
        delete from idempotency_keys where key in (
            select dead.key from idempotency_keys dead
            where dead.created_at < instant - interval '24 hours'
            limit 500 for update skip locked
        );
        -- A month of days is kept for who wants to see what the chat has cost.
        delete from spending where (day, shard) in (
            select dead.day, dead.shard from spending dead where dead.day < today - 31
            limit 500 for update skip locked
        );
    end if;

    return query
        select 'begun', null::interval, this_session, this_question, new_answer,
            null::timestamptz, cost, today, past.role, past.content, past.selected_text
        from (select) begun
        left join unnest(roles, contents, passages)
            with ordinality as past (role, content, selected_text, place) on true
        order by past.place;
end
$$;

-- After the model: stores the answer, touches the conversation, and puts the turn's real cost in
-- the place of its reservation (null: the reservation stands). Returns when the answer was stored;
-- null where the conversation has been deleted meanwhile.
--
-- Safe to run twice: only who stores the answer settles.
create function finish_turn(
    this_answer uuid, this_session uuid, answer text, this_question uuid, answer_state text,
    spending_day date, spending_shard smallint, reserved bigint, cost bigint
)
returns timestamptz
language plpgsql
as $$
declare
    stored_at timestamptz;
begin
    update chat_sessions set updated_at = now() where id = this_session;
    if not found then
        return null;
    end if;
    insert into messages (id, session_id, role, content, reply_to, state)
    values (this_answer, this_session, 'assistant', answer, this_question, answer_state)
    on conflict (id) do nothing
    returning created_at into stored_at;
    if not found then
        select created_at into stored_at from messages where id = this_answer;
    elsif cost is not null and cost <> reserved then
        update spending set nanos = nanos - reserved + cost
        where day = spending_day and shard = spending_shard;
    end if;
    return stored_at;
end
$$;

-- Instead of finish_turn where there is no answer: gives the key free, and gives back what was
-- reserved where the model has cost nothing.
create function fail_turn(
    this_question uuid, this_answer uuid, key_hash bytea, spending_day date, spending_shard smallint, refund bigint
)
returns void
language plpgsql
as $$
begin
    -- In the order in which rows are locked elsewhere.
    if refund > 0 then
        update messages set settled = this_answer
        where id = this_question and settled is distinct from this_answer;
        if found then
            update spending set nanos = nanos - refund
            where day = spending_day and shard = spending_shard;
        end if;
    end if;
    update idempotency_keys set running_until = clock_timestamp() - interval '1 millisecond'
    where key = key_hash and answer_id = this_answer;
end
$$;
