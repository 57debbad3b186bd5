-- Conversations and their messages.
--
-- Ids come from the application (UUID v7), so that a statement can be run again safely. `seq` is
-- the order of a conversation: timestamps tie. What later features need (chunks of the book and
-- their embeddings, feedback, limits) comes as tables of their own, beside these.

create type message_role_enum as enum ('user', 'assistant', 'system');

create table chat_sessions (
    id uuid primary key,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table messages (
    id uuid primary key,
    session_id uuid not null references chat_sessions (id) on delete cascade,
    seq bigint not null generated always as identity,
    role message_role_enum not null,
    content text not null,
    -- The passage of the book that the question is about.
    selected_text text,
    -- The question that an answer answers. No foreign key: deleting a conversation deletes both.
    reply_to uuid,
    -- 'cancelled': the reader left before the answer was whole.
    state text not null default 'complete' check (state in ('complete', 'cancelled')),
    created_at timestamptz not null default now()
);

create index messages_session_id_seq on messages (session_id, seq);
