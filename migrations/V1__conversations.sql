-- Conversations and their messages.
--
-- Ids come from the application (UUID v7), so that a statement can be run again safely.

create type message_role_enum as enum ('user', 'assistant', 'system');

create table chat_sessions (
    id uuid primary key,
    created_at timestamptz not null default now(),
    -- When it was last asked in or answered in: what `RETENTION_DAYS` counts from.
    updated_at timestamptz not null default now(),
    -- GCRA, the pace of a conversation: when its next question would be due if all came evenly.
    due timestamptz not null default '-infinity',
    -- SHA-256 of its reader's token. Null: anybody who knows the id may go on with it.
    owner bytea,
    -- What ChatKit calls it.
    title text
);

-- A reader's list of conversations.
create index chat_sessions_owner on chat_sessions (owner, created_at, id) where owner is not null;

create table messages (
    id uuid primary key,
    session_id uuid not null references chat_sessions (id) on delete cascade,
    -- The order within a conversation: timestamps tie.
    seq bigint not null generated always as identity,
    role message_role_enum not null,
    content text not null,
    -- The passage of the book that a question is about.
    selected_text text,
    -- The question that an answer answers. No foreign key: deleting a conversation deletes both.
    reply_to uuid,
    -- 'cancelled': the answer was cut short, by its reader or by the end of its instance.
    state text not null default 'complete' check (state in ('complete', 'cancelled')),
    created_at timestamptz not null default now(),
    -- The answer whose turn gave back what it had reserved, so that it does so only once. The same
    -- question may have several turns, with several answers that never came.
    settled uuid,
    -- A question's content where it is more than one text, and its options, as ChatKit sent them.
    parts jsonb,
    inference_options jsonb,
    -- The answer of the turn that last answered this question once more.
    answering uuid
);

create index messages_session_id_seq on messages (session_id, seq);
