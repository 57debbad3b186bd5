//! Vectors for the chunks of a version: each text is embedded once, however many pages and versions it
//! is in, and the cost is counted.
//!
//! Everything works without them: where the database has no vectors, or the provider fails, the book
//! is searched by its words.

use std::fmt::Write;
use std::sync::LazyLock;

use tokio::time::Instant;
use tokio_postgres::types::Type;

use super::versions::Active;
use crate::database::functions::{explain, statement};
use crate::database::{self, Database, Parameter, Statement};
use crate::llm::{self, Model};

/// Texts per request; the provider takes up to 2,048 of them, and 300,000 tokens.
const TEXTS: i64 = 128;

/// What the owner is told when the database cannot hold vectors.
pub(super) const NO_PLACE: &str = "the database has no extension `vector`: the book is searched by \
    its words alone (when the extension is there, run migrate and index again)";

const READY: Statement = Statement::new(
    "find vectors",
    "select to_regclass('book_vectors') is not null as ready",
);

static ANY: LazyLock<Statement> = LazyLock::new(|| {
    statement(
        "find vectors of model",
        "select {turn}.has_vectors($1) as any",
    )
});

const MISSING: Statement = Statement::new(
    "count missing vectors",
    "select count(*) as texts, coalesce(sum(tokens), 0)::bigint as tokens from (
             select distinct hash, tokens from book_chunks chunk
             where version = $1 and not exists (
                 select from book_vectors where model = $2 and hash = chunk.hash
             )
         ) missing",
);

const WITHOUT: Statement = Statement::new(
    "count chunks without vectors",
    "select count(*) as chunks from book_chunks chunk where version = $1
         and not exists (select from book_vectors where model = $2 and hash = chunk.hash)",
);

const NEXT: Statement = Statement::new(
    "read texts without vectors",
    "select distinct on (hash) encode(hash, 'hex') as hash, title, trail, content, tokens
         from book_chunks chunk
         where version = $1 and not exists (
             select from book_vectors where model = $2 and hash = chunk.hash
         )
         order by hash limit $3",
);

const PUT: Statement = Statement::new(
    "store vectors",
    // What is already stored has already been paid for.
    "with stored as (
             insert into book_vectors (hash, model, vector)
             select decode(hash, 'hex'), $1, vector::halfvec
             from unnest($2::text[], $3::text[]) as new (hash, vector)
             on conflict (model, hash) do nothing returning hash
         )
         insert into spending as spent (day, shard, nanos)
         select (now() at time zone 'utc')::date, -1, $4 where exists (select from stored)
         on conflict (day, shard) do update set nanos = spent.nanos + excluded.nanos",
);

const SWEEP: Statement = Statement::new(
    "sweep vectors",
    "delete from book_vectors vector
         where not exists (select from book_chunks where hash = vector.hash)",
);

/// How texts are embedded, and what that may cost.
#[derive(Debug, Clone, Copy)]
pub struct Embedding<'a> {
    /// The provider.
    pub model: &'a Model,
    /// The model of the vectors (`EMBEDDING_MODEL`).
    pub name: &'a str,
    /// Billionths of a dollar per token.
    pub price: i64,
    /// The most that one indexing may cost, in billionths of a dollar.
    pub max_cost: i64,
}

impl Embedding<'_> {
    /// What this many tokens cost, in billionths of a dollar.
    fn cost(&self, tokens: u64) -> i64 {
        cost(tokens, self.price)
    }
}

/// What this many tokens cost at a price a token, both in billionths of a dollar.
#[must_use]
pub fn cost(tokens: u64, price: i64) -> i64 {
    price.saturating_mul(i64::try_from(tokens).unwrap_or(i64::MAX))
}

/// What embedding has done.
#[derive(Debug, Default)]
pub(super) struct Embedded {
    /// Texts that have a vector now and had none before.
    pub(super) texts: u64,
    /// Requests to the provider.
    pub(super) calls: u64,
    /// Tokens that were paid for.
    pub(super) tokens: u64,
    /// Texts that still have none, because time ran out.
    pub(super) left: u64,
    /// Why the book is searched by its words alone, or why some texts have no vector.
    pub(super) warning: Option<String>,
}

/// Why a version is not embedded at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// It would cost more than it may.
    #[error(
        "embedding the book would cost about ${cost:.2}, and may cost ${limit:.2}: raise \
         BOOK_MAX_COST_USD, leave pages out, or index it without vectors (--no-embed)"
    )]
    TooDear {
        /// In dollars.
        cost: f64,
        /// In dollars.
        limit: f64,
    },
}

/// How many texts of a version have no vector, and their tokens.
///
/// # Errors
///
/// When the database fails.
pub(super) async fn missing(
    database: &Database,
    version: i64,
    model: &str,
) -> Result<(u64, u64), database::Error> {
    let parameters: [Parameter<'_>; 2] = [(&version, Type::INT8), (&model, Type::TEXT)];
    let rows = database.query(&MISSING, &parameters).await?;
    let row = rows
        .first()
        .ok_or(database::Error::Unexpected(MISSING.name))?;
    let number = |name| row.get::<_, i64>(name).unsigned_abs();
    Ok((number("texts"), number("tokens")))
}

/// Whether the database has a place for vectors.
///
/// # Errors
///
/// When the database fails.
pub async fn ready(database: &Database) -> Result<bool, database::Error> {
    let rows = database.query(&READY, &[]).await?;
    Ok(rows.first().is_some_and(|row| row.get("ready")))
}

/// Whether there are vectors of this model: one round trip, whether or not there is a place for any.
///
/// # Errors
///
/// When the database fails.
pub async fn has_vectors_of(database: &Database, model: &str) -> Result<bool, database::Error> {
    let rows = database.query(&ANY, &[(&model, Type::TEXT)]).await;
    let rows = rows.map_err(explain)?;
    Ok(rows.first().is_some_and(|row| row.get("any")))
}

/// How many chunks of the index have no vector of this model; it must be [`ready`].
///
/// # Errors
///
/// When the database fails.
pub async fn without_vector(
    database: &Database,
    index: &Active,
    model: &str,
) -> Result<u64, database::Error> {
    let parameters: [Parameter<'_>; 2] = [(&index.id, Type::INT8), (&model, Type::TEXT)];
    let rows = database.query(&WITHOUT, &parameters).await?;
    let row = rows.first();
    Ok(row.map_or(0, |row| row.get::<_, i64>("chunks").unsigned_abs()))
}

/// Deletes the vectors of texts that are in no version any more.
pub(super) async fn sweep(database: &Database) -> Result<(), database::Error> {
    if ready(database).await? {
        database.query(&SWEEP, &[]).await?;
    }
    Ok(())
}

/// Embeds what has no vector yet, until `until`.
pub(super) async fn embed(
    database: &Database,
    version: i64,
    embedding: Embedding<'_>,
    until: Option<Instant>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Embedded, Error> {
    let mut done = Embedded::default();
    if !ready(database).await? {
        done.warning = Some(NO_PLACE.into());
        return Ok(done);
    }
    let (texts, tokens) = missing(database, version, embedding.name).await?;
    let cost = embedding.cost(tokens);
    if cost > embedding.max_cost {
        let (cost, limit) = (dollars(cost), dollars(embedding.max_cost));
        return Err(Error::TooDear { cost, limit });
    }
    while done.texts < texts {
        if until.is_some_and(|until| Instant::now() >= until) {
            done.left = texts - done.texts;
            return Ok(done);
        }
        match batch(database, version, embedding, &mut done).await? {
            Ok(0) => break,
            Ok(_) => progress(done.texts, texts),
            Err(error) => {
                done.warning = Some(format!(
                    "{error}: {} of {texts} new texts have no vector yet, and are found by their \
                     words; the next indexing goes on with them",
                    texts - done.texts
                ));
                return Ok(done);
            }
        }
    }
    Ok(done)
}

/// Makes one request to the provider; returns how many texts it was for.
async fn batch(
    database: &Database,
    version: i64,
    embedding: Embedding<'_>,
    done: &mut Embedded,
) -> Result<Result<usize, llm::Error>, database::Error> {
    let parameters: [Parameter<'_>; 3] = [
        (&version, Type::INT8),
        (&embedding.name, Type::TEXT),
        (&TEXTS, Type::INT8),
    ];
    let rows = database.query(&NEXT, &parameters).await?;
    let mut hashes: Vec<String> = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    let mut estimate = 0;
    for row in &rows {
        let trail: Vec<String> = row.get("trail");
        hashes.push(row.get("hash"));
        texts.push(embedded_text(row.get("title"), &trail, row.get("content")));
        estimate += i64::from(row.get::<_, i32>("tokens")).unsigned_abs();
    }
    if texts.is_empty() {
        return Ok(Ok(0));
    }
    let borrowed: Vec<_> = texts.iter().map(String::as_str).collect();
    done.calls += 1;
    let answer = embedding.model.embed(embedding.name, &borrowed).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(error)),
    };
    let tokens = answer.tokens.unwrap_or(estimate);
    let cost = embedding.cost(tokens);
    let vectors: Vec<String> = answer.vectors.iter().map(|it| text(it)).collect();
    let parameters: [Parameter<'_>; 4] = [
        (&embedding.name, Type::TEXT),
        (&hashes, Type::TEXT_ARRAY),
        (&vectors, Type::TEXT_ARRAY),
        (&cost, Type::INT8),
    ];
    database.query(&PUT, &parameters).await?;
    done.texts += texts.len() as u64;
    done.tokens += tokens;
    Ok(Ok(texts.len()))
}

/// The text that is embedded for a chunk: its headings, then its content.
pub(super) fn embedded_text(title: &str, trail: &[String], content: &str) -> String {
    let mut headings = vec![title];
    headings.extend(trail.iter().map(String::as_str));
    format!("{}\n\n{content}", headings.join(" > "))
}

/// A vector as PostgreSQL reads it.
#[must_use]
pub(super) fn text(vector: &[f32]) -> String {
    let mut text = String::with_capacity(vector.len() * 12);
    for (i, number) in vector.iter().enumerate() {
        let separator = if i == 0 { '[' } else { ',' };
        // Writing into a string never fails.
        let _ = write!(text, "{separator}{number}");
    }
    text.push(']');
    text
}

#[expect(clippy::cast_precision_loss, reason = "a sum for people")]
pub(super) fn dollars(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}
