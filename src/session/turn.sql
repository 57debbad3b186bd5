-- What a turn does to the tables: the current text, whole and in one place, so that a change is a
-- diff.
--
-- `migrate` installs it as it stands here into a schema that is named after it: `turn_` and the
-- first digits of its SHA-256, for which {turn} stands here. A deployment calls the functions that
-- it was built with, by that name, and deployments before and after it call theirs.
--
-- Every function is safe to run twice, because a statement whose reply was lost runs once more.
--
-- None waits longer than a second for a lock: it then changes nothing (SQLSTATE 55P03) and is run
-- again while there is time. So a row that somebody has locked holds up no other statement on the same
-- connection for long, and statements that nobody waits for any more do not pile up behind it. As an
-- attribute of the functions, this works through PgBouncer, too.

-- Before the model. Returns one row whose `outcome` is `begun`, with the history in further rows
-- (oldest first; one row of nulls if there is none), or
--   answered, in_progress, key_reused   what became of the request with this key
--   network_pace, network_day, conversation_pace, budget   a refusal, with the wait
--   too_big   a refusal that counts as a question: the rest of the budget does not hold this turn
--   no_session   the conversation must be the reader's own, and is not
--
-- A conversation that has an owner is unknown to everybody else. A retry is a turn for a question
-- that is stored already; `finish` deletes what came after it, up to `replaces`.
--
-- Run twice: a run that finds the question stored, or the retry noted, charges nothing again. When
-- two turns meet, the loser changes nothing and must run once more (SQLSTATE of class TC): it then
-- sees why.
create function {turn}.begin(
    -- The conversation that the reader names; the ids of what the turn may create.
    named_session uuid, new_session uuid, new_question uuid, new_answer uuid,
    message text,
    -- In billionths of a dollar: the turn without its history, and each byte of the history.
    fixed_cost bigint, byte_cost bigint,
    -- How many messages of the history, what each takes in a prompt besides its texts, and what all
    -- of them may take.
    history_messages bigint, message_bytes bigint, max_history_bytes bigint,
    spending_shard smallint,
    passage text default null,
    -- The Idempotency-Key's hash, the request's hash, how long the turn may take.
    key_hash bytea default null, request_hash bytea default null,
    lease interval default '1 minute',
    -- The limits; zero switches one off. An interval is the time between two questions at the pace.
    network_hash bytea default null,
    network_burst bigint default 0, network_interval interval default '0',
    network_daily bigint default 0,
    conversation_burst bigint default 0, conversation_interval interval default '0',
    -- The budget of the day, in billionths of a dollar; how much of the fixed cost is the answer's.
    budget bigint default 0, answer_cost bigint default 0,
    -- Whether the history is only what the moderation has passed.
    moderated boolean default false,
    -- Whether this turn also sweeps.
    sweeps boolean default false,
    -- The hash of the reader's token; whether the conversation must be theirs.
    reader bytea default null, owned boolean default false,
    -- The question to answer once more.
    retried uuid default null,
    -- The title of a conversation without one; content and options of a new question.
    new_title text default null, new_parts jsonb default null, new_options jsonb default null,
    -- The page that the reader is on.
    reader_page text default null,
    -- The time of the turn; null: now.
    moment timestamptz default null
)
returns table (
    outcome text, wait interval,
    session_id uuid, question_id uuid, answer_id uuid, answered_at timestamptz,
    reserved bigint,
    role text, content text, selected_text text, state text,
    session_created_at timestamptz, question_created_at timestamptz, begun_at timestamptz,
    replaces bigint, citations text
)
language plpgsql
set lock_timeout = '1s'
as $$
#variable_conflict use_column
declare
    instant timestamptz := coalesce(moment, clock_timestamp());
    today date := (instant at time zone 'utc')::date;
    midnight interval := ((today + 1)::timestamp at time zone 'utc') - instant;
    this_session uuid;
    this_question uuid := new_question;
    known_session boolean;
    again boolean := false;
    kept idempotency_keys%rowtype;
    earlier messages%rowtype;
    session chat_sessions%rowtype;
    network networks%rowtype;
    cost bigint := fixed_cost;
    too_big boolean := false;
    nearly_spent boolean := false;
    roles text[];
    contents text[];
    passages text[];
    states text[];
    bytes bigint;
    spent bigint;
begin
    -- The same request made before, or this very statement, run again after its reply was lost.
    if key_hash is not null then
        select * into kept from idempotency_keys where key = key_hash;
        again := found and kept.answer_id = new_answer;
        if found and not again and kept.created_at >= instant - interval '24 hours' then
            if kept.request <> request_hash then
                outcome := 'key_reused';
                return next;
                return;
            end if;
            select * into earlier from messages where id = kept.answer_id and state = 'complete';
            if found or kept.running_until >= instant then
                outcome := case when earlier.id is null then 'in_progress' else 'answered' end;
                session_id := kept.session_id;
                question_id := kept.question_id;
                answer_id := kept.answer_id;
                answered_at := earlier.created_at;
                content := earlier.content;
                citations := earlier.citations::text;
                return next;
                return;
            end if;
            -- It failed, was cancelled or died: this turn answers the question that is stored.
            this_question := kept.question_id;
        elsif again then
            this_question := kept.question_id;
        end if;
    end if;
    if retried is not null then
        this_question := retried;
    end if;
    select * into earlier from messages where id = this_question;
    if not found then
        this_session := named_session;
    else
        this_session := earlier.session_id;
        again := again or this_question = new_question
            or coalesce(earlier.answering = new_answer, false);
    end if;
    select * into session from chat_sessions where id = this_session;
    known_session := found and coalesce(session.owner = reader, session.owner is null and not owned);
    if not known_session then
        -- Also if the question is stored in somebody else's conversation.
        if retried is not null or (owned and named_session is not null)
            or (earlier.id is not null and session.id is not null) then
            outcome := 'no_session';
            return next;
            return;
        end if;
        this_session := new_session;
    elsif retried is not null then
        if earlier.id is null or this_session is distinct from named_session then
            outcome := 'no_session';
            return next;
            return;
        end if;
        select max(seq) into replaces from messages where session_id = this_session;
    end if;

    -- What came before the question.
    if known_session and history_messages > 0 then
        select array_agg(past.role order by past.seq), array_agg(past.content order by past.seq),
            array_agg(past.selected_text order by past.seq), array_agg(past.state order by past.seq),
            sum(octet_length(past.content) + coalesce(octet_length(past.selected_text), 0)
                + message_bytes)
        into roles, contents, passages, states, bytes
        from {turn}.history(this_session, this_question, history_messages) past
        where past.cleared or not moderated;
    end if;
    -- A token is at least one byte.
    cost := fixed_cost + byte_cost * least(coalesce(bytes, 0), max_history_bytes);

    if not again then
        -- Check first: a refusal takes no lock and writes nothing.
        if known_session and conversation_burst > 0
            and session.due - (conversation_burst - 1) * conversation_interval > instant then
            outcome := 'conversation_pace';
            wait := session.due - (conversation_burst - 1) * conversation_interval - instant;
            session_id := this_session;
            return next;
            return;
        end if;
        select * into network from networks where networks.network = network_hash;
        if network_daily > 0 and network.asked >= network_daily then
            outcome := 'network_day';
            wait := midnight;
            return next;
            return;
        end if;
        if network_burst > 0 and network.due - (network_burst - 1) * network_interval > instant then
            outcome := 'network_pace';
            wait := network.due - (network_burst - 1) * network_interval - instant;
            return next;
            return;
        end if;
        if budget > 0 then
            -- Shard -1 is what the book's index has cost, which readers do not pay for.
            select coalesce(sum(nanos), 0) into spent from spending where day = today and shard >= 0;
            nearly_spent := spent + 32 * cost > budget;
            if nearly_spent then
                spent := {turn}.spent(today, instant);
                -- All in one row: each turn now waits for the one before it, and sees what it took.
                spending_shard := 0;
            end if;
            if spent >= budget then
                outcome := 'budget';
                wait := midnight;
                return next;
                return;
            end if;
            too_big := spent + cost > budget;
        end if;

        -- Then the claims. A pace or a count decides once more, under the lock of its row, so that of
        -- many at once exactly as many get through as it allows. So does a budget that is nearly
        -- spent; before that, what is in flight has room.
        if known_session and not too_big then
            update chat_sessions
            set updated_at = instant,
                title = coalesce(title, new_title),
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
        if retried is not null and not too_big then
            update messages set answering = new_answer where id = retried;
            if not found then
                raise exception using errcode = 'TC005', message = 'the question has been deleted';
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
        if too_big then
            -- There is room for a smaller turn, or for this one once others are settled. It counts as
            -- one of its network's: otherwise it could be asked for ever.
            outcome := 'too_big';
            wait := interval '10 seconds';
            return next;
            return;
        end if;
        -- With a budget or without: what a day has cost is known, and what another deployment has
        -- reserved is never touched.
        insert into spending as spent (day, shard, nanos)
        values (today, spending_shard, cost)
        on conflict (day, shard) do update set nanos = spent.nanos + excluded.nanos;
        if nearly_spent and {turn}.spent(today, instant) > budget then
            raise exception using errcode = 'TC006', message = 'the budget was used up meanwhile';
        end if;
        insert into reservations (answer_id, day, shard, nanos, prompt_nanos, ends_at)
        values (
            new_answer, today, spending_shard, cost, greatest(cost - answer_cost, 0), instant + lease
        )
        on conflict (answer_id) do nothing;
        if not found then
            -- The first run of this very statement was still at work when we looked.
            raise exception using errcode = 'TC004', message = 'the turn has begun meanwhile';
        end if;
    end if;

    -- Not if it was there: it may be being forgotten at this very moment.
    if not known_session then
        insert into chat_sessions (id, due, owner, title)
        values (
            this_session, instant + conversation_interval, case when owned then reader end, new_title
        )
        on conflict (id) do nothing
        returning * into session;
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
            -- As it was when we looked; otherwise another request was faster.
            or claimed.answer_id = kept.answer_id;
        if not found then
            raise exception using errcode = 'TC001', message = 'the key was claimed meanwhile';
        end if;
    end if;
    question_created_at := earlier.created_at;
    if retried is null then
        insert into messages
            (id, session_id, role, content, selected_text, parts, inference_options, page)
        values (
            this_question, this_session, 'user', message, passage, new_parts, new_options,
            reader_page
        )
        on conflict (id) do nothing
        returning created_at into question_created_at;
        if not found then
            question_created_at := earlier.created_at;
        end if;
    end if;

    if sweeps then
        perform {turn}.sweep(instant);
    end if;

    return query
        select 'begun', null::interval, this_session, this_question, new_answer,
            null::timestamptz, cost, past.role, past.content, past.selected_text, past.state,
            session.created_at, question_created_at, now(), replaces, null::text
        from (select) begun
        left join unnest(roles, contents, passages, states)
            with ordinality as past (role, content, selected_text, state, place) on true
        order by past.place;
end
$$;

-- The newest messages of a conversation before a question, which may not be stored yet.
-- The planner inlines it.
create function {turn}.history(of_session uuid, before_question uuid, messages_limit bigint)
returns table (
    seq bigint, role text, content text, selected_text text, state text, cleared boolean
)
language sql
stable
as $$
    select messages.seq, messages.role::text, messages.content, messages.selected_text,
        messages.state, messages.cleared
    from messages
    where messages.session_id = of_session
        and messages.seq < coalesce(
            (select question.seq from messages question where question.id = before_question),
            9223372036854775807
        )
        and messages.role <> 'system'
    order by messages.seq desc
    limit messages_limit
$$;

-- The reservations of turns that died, and what these have cost by all that is known: as much of it
-- as other turns have used of theirs; while none has, what the prompt may cost.
create function {turn}.ended(moment timestamptz)
returns table (answer_id uuid, day date, shard smallint, nanos bigint, cost bigint)
language sql
stable
as $$
    select answer_id, day, shard, nanos,
        least(nanos, coalesce(
            (
                select ceil(reservations.nanos * sum(settled_cost) / nullif(sum(settled_reserved), 0))::bigint
                from spending where shard >= 0
            ),
            prompt_nanos
        ))
    from reservations
    where ends_at < moment
$$;

-- What readers have spent or reserved on a day, where turns that died count as what they have cost.
create function {turn}.spent(of_day date, moment timestamptz)
returns bigint
language sql
stable
as $$
    select (
        (select coalesce(sum(nanos), 0) from spending where day = of_day and shard >= 0)
        - (select coalesce(sum(nanos - cost), 0) from {turn}.ended(moment) where day = of_day)
    )::bigint
$$;

-- Settles what turns that died had reserved, and deletes a few dead rows of each kind. Nothing that
-- is locked is waited for: the caller holds locks.
create function {turn}.sweep(moment timestamptz)
returns void
language plpgsql
as $$
#variable_conflict use_column
declare
    today date := (moment at time zone 'utc')::date;
    dead record;
begin
    for dead in select * from {turn}.ended(moment) limit 100 loop
        perform from reservations where answer_id = dead.answer_id for update skip locked;
        continue when not found;
        perform from spending where day = dead.day and shard = dead.shard for update skip locked;
        continue when not found;
        delete from reservations where answer_id = dead.answer_id;
        update spending set nanos = nanos - dead.nanos + dead.cost
        where day = dead.day and shard = dead.shard;
    end loop;
    delete from networks where network in (
        select dead.network from networks dead where dead.day < today
        limit 500 for update skip locked
    );
    delete from idempotency_keys where key in (
        select dead.key from idempotency_keys dead
        where dead.created_at < moment - interval '24 hours'
        limit 500 for update skip locked
    );
    -- A month is kept, to see what the chat has cost.
    delete from spending where (day, shard) in (
        select dead.day, dead.shard from spending dead where dead.day < today - 31
        limit 500 for update skip locked
    );
    -- Of a chat that was not asked for so long.
    delete from reservations where day < today - 31;
end
$$;

-- After the model: stores the answer, touches the conversation, and replaces the turn's reservation
-- with its real cost. For a question that was retried, it deletes
-- what came after it, up to `replaces`, and any later answers to it or to what is deleted. Returns
-- the time that the answer carries, which is `began_at` or now; null if nothing is stored: its
-- conversation or its question was deleted meanwhile, or a newer turn has answered it.
--
-- Run twice: only the run that deletes the reservation settles.
create function {turn}.finish(
    this_answer uuid, this_session uuid, answer text, this_question uuid, answer_state text,
    cost bigint, began_at timestamptz, replaces bigint, what_it_cites jsonb default null,
    -- Whether the moderation has passed the question.
    passed boolean default false
)
returns timestamptz
language plpgsql
set lock_timeout = '1s'
as $$
declare
    question messages%rowtype;
    replaced uuid[];
    stored_at timestamptz;
begin
    update chat_sessions set updated_at = now() where id = this_session;
    if not found then
        return null;
    end if;
    select * into question from messages where id = this_question;
    if not found or (
        question.answering <> this_answer
        and exists (select from messages where id = question.answering)
    ) then
        return null;
    end if;
    if replaces is not null then
        select coalesce(array_agg(id), '{}') into replaced from messages
        where session_id = this_session and seq > question.seq and seq <= replaces;
        delete from messages
        where session_id = this_session and seq > question.seq and id <> this_answer
            and (id = any (replaced) or reply_to = this_question or reply_to = any (replaced));
    end if;
    insert into messages
        (id, session_id, role, content, reply_to, state, created_at, citations, cleared)
    values (
        this_answer, this_session, 'assistant', answer, this_question, answer_state,
        coalesce(began_at, now()), what_it_cites, passed
    )
    on conflict (id) do nothing
    returning created_at into stored_at;
    if not found then
        select created_at into stored_at from messages where id = this_answer;
    end if;
    if passed then
        update messages set cleared = true where id = this_question and not cleared;
    end if;
    perform {turn}.settle(this_answer, cost);
    return stored_at;
end
$$;

-- For a turn without a whole answer: releases the key, and replaces the reservation with the cost
-- (null: it has been).
create function {turn}.fail(
    this_question uuid, this_answer uuid, key_hash bytea, cost bigint, passed boolean default false
)
returns void
language plpgsql
set lock_timeout = '1s'
as $$
begin
    -- In the order in which rows are locked elsewhere.
    if passed then
        update messages set cleared = true where id = this_question and not cleared;
    end if;
    if cost is not null then
        perform {turn}.settle(this_answer, cost);
    end if;
    update idempotency_keys set running_until = clock_timestamp() - interval '1 millisecond'
    where key = key_hash and answer_id = this_answer;
end
$$;

-- Tells the turn that the request with this key has begun to end; says whether there is one under way.
create function {turn}.stop(key_hash bytea)
returns boolean
language plpgsql
set lock_timeout = '1s'
as $$
begin
    update reservations set stopped = true
    from idempotency_keys kept
    where kept.key = key_hash and reservations.answer_id = kept.answer_id
        and reservations.ends_at >= clock_timestamp();
    return found;
end
$$;

-- Whether a turn that nobody listens to any more is to end: it was stopped, or its question deleted.
create function {turn}.is_called_off(this_answer uuid, this_question uuid)
returns boolean
language sql
stable
as $$
    select exists (select from reservations where answer_id = this_answer and stopped)
        or not exists (select from messages where id = this_question)
$$;

-- Puts a turn's cost in the place of what it had reserved. Run twice, it finds nothing to replace; so
-- it does for a turn that has outlived its lease.
create function {turn}.settle(this_answer uuid, cost bigint)
returns void
language plpgsql
as $$
begin
    with ended as (
        delete from reservations where answer_id = this_answer returning *
    )
    update spending set
        nanos = spending.nanos - ended.nanos + cost,
        -- A turn that the provider refused says nothing about others.
        settled_reserved = settled_reserved + case when cost > 0 then ended.nanos else 0 end,
        settled_cost = settled_cost + cost
    from ended
    where spending.day = ended.day and spending.shard = ended.shard;
end
$$;

-- Takes back a question that must not be kept, and its conversation if that holds nothing else. A
-- conversation with an owner stays, because its reader sees it, but loses a title that was made of
-- the question.
create function {turn}.refuse(this_question uuid, this_session uuid, question_title text)
returns void
language plpgsql
set lock_timeout = '1s'
as $$
begin
    -- As in the other functions, the conversation is locked first: no question comes in meanwhile.
    perform from chat_sessions where id = this_session for update;
    delete from messages where id = this_question;
    update chat_sessions set title = null where id = this_session and title = question_title;
    delete from chat_sessions where id = this_session and owner is null
        and not exists (select from messages where session_id = this_session);
end
$$;
