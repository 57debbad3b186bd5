-- What a network and a day have used of their limits.

-- The networks that asked today. A network is an HMAC of the day and the address: it changes with
-- the day, and names nobody.
create table networks (
    network bytea primary key,
    day date not null,
    -- GCRA: when the next question would be due if all came evenly.
    due timestamptz not null,
    -- Questions today.
    asked integer not null
);

-- For the sweep.
create index networks_day on networks (day);

-- What each day has cost, in billionths of a dollar.
create table spending (
    day date not null,
    -- The sum is spread over several rows, for a single one would be a queue.
    shard smallint not null,
    nanos bigint not null,
    primary key (day, shard)
);
