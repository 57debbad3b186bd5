//! What an indexing would do: the book is read and compared with its index.
//!
//! Writes nothing, takes no lease, and asks for no embeddings.

use std::collections::{HashMap, HashSet};

use tokio::sync::mpsc;
use tokio_postgres::types::Type;

use super::embed;
use super::index::{Error, Progress, loses_much};
use super::pages::{self, Base, Facts, Found, Known, Options, Page, Problem, Skip, Source};
use super::rows;
use super::versions::{self, Active};
use crate::database::{self, Database, Parameter, Statement};

/// Pages on their way from the book.
const ON_THE_WAY: usize = 32;

const CHUNKS: Statement = Statement::new(
    "count chunks of pages",
    "select count(*) as chunks from book_chunks where version = $1 and location = any ($2)",
);

/// $1 and $2 the pieces that were read   $3 and $4 those that stay   $5 the model
const MISSING: Statement = Statement::new(
    "count vectors to come",
    "with planned as (
             select decode(hash, 'hex') as hash, tokens from unnest($1::text[], $2::bigint[]) as read (hash, tokens)
             union all
             select hash, tokens from book_chunks where version = $3 and location = any ($4)
         ),
         missing as (
             select distinct on (hash) hash, tokens from planned
             where not exists (
                 select from book_vectors where model = $5 and hash = planned.hash
             )
             order by hash
         )
         select count(*) as texts, coalesce(sum(tokens), 0)::bigint as tokens from missing",
);

/// What an indexing would do.
#[derive(Debug, Default)]
pub struct Plan {
    /// Pages with text.
    pub pages: usize,
    /// Pieces of them.
    pub chunks: u64,
    /// Pages that are not in the index.
    pub new: usize,
    /// Pages that are in the index, but have changed.
    pub changed: usize,
    /// Pages that are in the index as they are.
    pub unchanged: usize,
    /// Pages that are in the index, but no longer in the book.
    pub gone: usize,
    /// Pages that give nothing, and why.
    pub skipped: Vec<(String, Skip)>,
    /// Pages that could not be read.
    pub problems: Vec<Problem>,
    /// Texts without a vector.
    pub texts: u64,
    /// Their tokens, as far as they can be counted beforehand.
    pub tokens: u64,
    /// The pieces of the version in use, where an indexing would refuse to lose so many.
    pub lost: Option<u64>,
    /// What the owner should know about it.
    pub warning: Option<String>,
}

/// What the index has of the book.
#[derive(Default)]
struct Before {
    active: Option<Active>,
    /// Its pages, each with the digest of what was read.
    digests: HashMap<String, u64>,
    /// The pages whose chunks can be taken over.
    known: Vec<Facts>,
    /// Whether pages are read now by the same rules as then.
    same_options: bool,
}

/// Says what an indexing would do; without a database, all of the book is new. Texts are counted
/// where there is a `model` that would embed them.
///
/// # Errors
///
/// Where an indexing would fail to read the book: see [`Error`].
pub async fn plan(
    database: Option<&Database>,
    source: &Source,
    base: &Base,
    options: &Options,
    model: Option<&str>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Plan, Error> {
    let before = match database {
        Some(database) => Before::of(database, base, options).await?,
        None => Before::default(),
    };
    let (found, mut pages) = mpsc::channel(ON_THE_WAY);
    let crawl = async {
        // Dropped at the end, which ends the collecting.
        let found = found;
        let known = Known {
            before: &before.known,
            settled: &[],
        };
        pages::crawl(source, base, options, known, None, &found).await
    };
    let collect = async {
        let mut all: Vec<Found> = Vec::new();
        while pages.recv_many(&mut all, ON_THE_WAY).await > 0 {
            progress(Progress::Read(all.len()));
        }
        all
    };
    let (crawl, found) = tokio::join!(crawl, collect);
    let problems = crawl?.problems;
    let judgement = pages::judge(&found.iter().map(Found::facts).collect::<Vec<_>>());
    judgement.check()?;

    let mut plan = before.compare(&found);
    plan.problems = problems;
    let (mut read, mut kept) = (Vec::new(), Vec::new());
    for (found, skip) in found.into_iter().zip(judgement.skips) {
        match (found, skip) {
            (found, Some(skip)) => plan.skipped.push((found.facts().url.clone(), skip)),
            (Found::New(page), None) => read.push(*page),
            (Found::Unchanged(facts) | Found::Settled(facts), None) => kept.push(facts.location),
        }
    }
    plan.pages = read.len() + kept.len();
    plan.count(database, before.active.as_ref(), &read, &kept, model)
        .await?;
    Ok(plan)
}

impl Before {
    async fn of(
        database: &Database,
        base: &Base,
        options: &Options,
    ) -> Result<Self, database::Error> {
        let Some(active) = versions::active(database, base.url().as_str()).await? else {
            return Ok(Self::default());
        };
        let pages = versions::pages(database, active.id).await?;
        let digests = pages
            .iter()
            .map(|page| (page.facts.location.clone(), page.facts.digest));
        let digests = digests.collect();
        let same_options = active.is_read_with(options);
        let known = pages
            .into_iter()
            // A page that repeats another one has no chunks to take over.
            .filter(|page| same_options && !page.skipped)
            .map(|page| page.facts);
        Ok(Self {
            digests,
            known: known.collect(),
            same_options,
            active: Some(active),
        })
    }

    fn compare(&self, found: &[Found]) -> Plan {
        let mut plan = Plan::default();
        for found in found {
            let facts = found.facts();
            let before = self.digests.get(&facts.location);
            let as_before = before == Some(&facts.digest) && self.same_options;
            match (before, found) {
                (None, _) => plan.new += 1,
                (Some(_), Found::New(_)) if !as_before => plan.changed += 1,
                (Some(_), _) => plan.unchanged += 1,
            }
        }
        let there: HashSet<&String> = found.iter().map(|it| &it.facts().location).collect();
        let gone = self.digests.keys().filter(|it| !there.contains(it));
        plan.gone = gone.count();
        plan
    }
}

impl Plan {
    /// Counts pieces, and texts that have no vector yet.
    async fn count(
        &mut self,
        database: Option<&Database>,
        active: Option<&Active>,
        read: &[Page],
        kept: &[String],
        model: Option<&str>,
    ) -> Result<(), database::Error> {
        let chunks = read.iter().flat_map(|page| &page.chunks);
        let texts: HashMap<String, i64> = chunks
            .clone()
            .map(|chunk| {
                let tokens = i64::try_from(chunk.tokens).unwrap_or(i64::MAX);
                (rows::vector_key(chunk), tokens)
            })
            .collect();
        self.chunks = chunks.count() as u64;
        if let (Some(database), Some(active)) = (database, active) {
            let parameters: [Parameter<'_>; 2] =
                [(&active.id, Type::INT8), (&kept, Type::TEXT_ARRAY)];
            let rows = database.query(&CHUNKS, &parameters).await?;
            self.chunks += number(rows.first(), "chunks", &CHUNKS)?;
            self.lost = loses_much(active.chunks, self.chunks).then_some(active.chunks);
        }
        let Some(model) = model else { return Ok(()) };
        let Some(database) = database else {
            self.texts = texts.len() as u64;
            self.tokens = texts.values().map(|tokens| tokens.unsigned_abs()).sum();
            return Ok(());
        };
        if !embed::ready(database).await? {
            self.warning = Some(embed::NO_PLACE.into());
            return Ok(());
        }
        let (hashes, tokens): (Vec<String>, Vec<i64>) = texts.into_iter().unzip();
        let version = active.map(|active| active.id);
        let parameters: [Parameter<'_>; 5] = [
            (&hashes, Type::TEXT_ARRAY),
            (&tokens, Type::INT8_ARRAY),
            (&version, Type::INT8),
            (&kept, Type::TEXT_ARRAY),
            (&model, Type::TEXT),
        ];
        let rows = database.query(&MISSING, &parameters).await?;
        self.texts = number(rows.first(), "texts", &MISSING)?;
        self.tokens = number(rows.first(), "tokens", &MISSING)?;
        Ok(())
    }
}

fn number(
    row: Option<&tokio_postgres::Row>,
    column: &str,
    statement: &Statement,
) -> Result<u64, database::Error> {
    let row = row.ok_or(database::Error::Unexpected(statement.name))?;
    Ok(row.get::<_, i64>(column).unsigned_abs())
}
