-- Vectors of texts, by what was embedded and with which model: a text that stands in several pages or
-- versions has one, and vectors of two models never meet.
create table if not exists book_vectors (
    hash bytea not null,
    model text not null,
    vector halfvec(512) not null,
    primary key (model, hash)
);
