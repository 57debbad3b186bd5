-- What turns have reserved until they end, and which messages the moderation has passed.

-- The turns under way. Each has its worst cost in the day's spending; whoever deletes its row, once,
-- puts the real cost in its place.
create table reservations (
    -- The answer of the turn.
    answer_id uuid primary key,
    -- Where it is charged, and how much, in billionths of a dollar.
    day date not null,
    shard smallint not null,
    nanos bigint not null,
    -- What of that its prompt may cost, without an answer.
    prompt_nanos bigint not null,
    -- A lease: a turn that has not ended by then has died.
    ends_at timestamptz not null
);

-- What turns that ended had reserved, and what they have cost: from this follows what those have
-- cost that died.
alter table spending
    add column settled_reserved bigint not null default 0,
    add column settled_cost bigint not null default 0;

-- The moderation had no objection: to this question, or to the one that this answers. False without
-- moderation.
alter table messages add column cleared boolean not null default false;
