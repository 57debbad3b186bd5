//! What a book adds: the time of a search by the book's size, and to a turn its round trips, its time
//! and its cold start.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use textbook_chat::{
    book::{
        pages::Base,
        search::{Before, Query, Vector, search},
    },
    config::DatabaseSettings,
    database::Database,
    llm::DIMENSIONS,
};
use tokio::time::sleep;

use super::{cold, round_trips};
use crate::{
    book::{Book, EMBEDDING_MODEL, Kind},
    client::{Connection, asking},
    load::{Load, Until, milliseconds, percentile},
    random::Random,
    stage::{Search, Stage, Way},
    table::Table,
};

/// How much is measured.
pub struct Effort {
    /// The book's sizes, in chunks, the smallest first.
    pub books: &'static [usize],
    pub searches: usize,
    pub slices: u32,
    pub slice: Duration,
    pub starts: usize,
}

/// The largest book that is searched by vectors, too: a search reads all of them.
const MOST_WITH_VECTORS: usize = 10_000;

/// Searches before the clock starts.
const WARM: usize = 10;

/// Longer than any search may take; a turn waits for a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// The defaults of `BOOK_SOURCES` and `BOOK_MAX_CHARS`.
const SECTIONS: usize = 8;
const MAX_CHARS: usize = 16_000;

pub async fn measure(stage: &Stage, table: &mut Table, effort: &Effort) -> Result<()> {
    let book = Book::open(&stage.database_url()).await?;
    let shelf = Shelf::open(stage)?;
    for (number, &chunks) in effort.books.iter().enumerate() {
        let with_vectors = chunks <= MOST_WITH_VECTORS;
        book.write(chunks, with_vectors).await?;
        shelf
            .times(&book, table, chunks, with_vectors, effort.searches)
            .await?;
        // What a turn costs does not depend on the book beyond that.
        if number == 0 {
            turns(stage, table, &book, effort).await?;
        }
    }
    Ok(())
}

/// The index, as a turn searches it.
struct Shelf {
    database: Database,
    base: Base,
}

impl Shelf {
    fn open(stage: &Stage) -> Result<Self> {
        let settings = DatabaseSettings {
            postgres: stage.database_url().parse()?,
            pool_size: 1,
            connect_timeout: PATIENCE,
            wait_timeout: PATIENCE,
            statement_timeout: PATIENCE,
        };
        Ok(Self {
            database: Database::new(settings),
            base: Book::base()?,
        })
    }

    /// One search after the other.
    async fn times(
        &self,
        book: &Book,
        table: &mut Table,
        chunks: usize,
        with_vectors: bool,
        searches: usize,
    ) -> Result<()> {
        let ways = [
            ("", Kind::Usual, false),
            (", a slip of the pen", Kind::Slip, false),
            (", with a vector", Kind::Usual, true),
        ];
        for (what, kind, by_vector) in ways {
            if by_vector && !with_vectors {
                continue;
            }
            let mut random = Random::new(5);
            let mut times = Vec::new();
            let questions = book.questions(kind, WARM + searches);
            for question in &questions {
                let numbers = by_vector.then(|| random.direction(DIMENSIONS));
                let vector = numbers.as_deref().map(|numbers| Vector {
                    numbers,
                    model: EMBEDDING_MODEL,
                });
                let started = Instant::now();
                let found = search(
                    &self.database,
                    &Query {
                        book: self.base.url(),
                        question,
                        before: Before::Nothing,
                        page: None,
                        vector,
                        sections: SECTIONS,
                        max_chars: MAX_CHARS,
                    },
                )
                .await?;
                times.push(started.elapsed());
                let found = found.context("there is no book")?;
                ensure!(found.len() > 1, "nothing was found for: {question}");
            }
            times.drain(..WARM);
            times.sort_unstable();
            table.row(
                format!("search: {chunks} chunks{what}"),
                "ms, p50 / p95 / p99",
                &[50, 95, 99].map(|percent| milliseconds(percentile(&times, percent))),
            );
        }
        Ok(())
    }
}

/// The rows of a turn.
async fn turns(stage: &Stage, table: &mut Table, book: &Book, effort: &Effort) -> Result<()> {
    let questions = book.questions(Kind::Usual, 100);
    for (what, search) in [
        ("with a book", Search::Words),
        ("with a book and vectors", Search::Vectors),
    ] {
        trips(stage, table, what, search, &questions[0]).await?;
    }
    for (what, search, ways) in [
        (
            "with a book against without",
            Search::Words,
            &[Way::Direct, Way::Far][..],
        ),
        (
            "with a book and vectors against without",
            Search::Vectors,
            &[Way::Far],
        ),
    ] {
        for &way in ways {
            overhead(stage, table, (what, search, way), &questions, effort).await?;
        }
    }
    cold::row(
        stage,
        table,
        "first /chat with a book",
        "chat",
        &stage.environment_with_book(Way::Direct, Search::Words),
        &asking(&questions[0], None, None, ""),
        effort.starts,
    )
    .await
}

async fn trips(
    stage: &Stage,
    table: &mut Table,
    what: &str,
    search: Search,
    question: &str,
) -> Result<()> {
    let chat = stage.start_with_book(Way::Counted, search).await?;
    let mut reader = Connection::open(chat.port).await?;
    let question = asking(question, None, None, "");
    // The instance finds out by itself whether there are vectors.
    for _ in 0..10 {
        reader.ask(&question).await?.ok()?;
        sleep(Duration::from_millis(20)).await;
    }
    let embedded = stage.model.embedded();
    let trips = round_trips::trips(stage, &mut reader, &question, 200).await?;
    let embedded = f64::from(u32::try_from(stage.model.embedded() - embedded)?);
    let what = format!("round trips: {what}");
    match search {
        Search::Words => {
            ensure!(embedded == 0.0, "a search by words needs no vector");
            table.row(what, round_trips::UNIT, &trips);
        }
        Search::Vectors => table.row(
            what,
            "before / after / embeddings",
            &[trips[0], trips[1], embedded],
        ),
    }
    Ok(())
}

/// Turns of a deployment with the book and of one without, in turn.
async fn overhead(
    stage: &Stage,
    table: &mut Table,
    (what, search, way): (&str, Search, Way),
    questions: &[String],
    effort: &Effort,
) -> Result<()> {
    let with = stage.start_with_book(way, search).await?;
    let without = stage.start("chat", way).await?;
    for readers in [1, 32] {
        let (mut of_with, mut of_without) = (Load::asking(questions), Load::asking(questions));
        stage.model.own_time();
        for _ in 0..effort.slices {
            let until = Until::Time(effort.slice);
            of_with.run(&with, readers, until).await?;
            of_without.run(&without, readers, until).await?;
        }
        let model = stage.model.own_time();
        let missed = of_with.latencies.len() - of_with.searched;
        if missed > 0 {
            eprintln!(
                "{missed} of {} turns went without the book",
                of_with.latencies.len()
            );
        }
        let far = if way == Way::Far { 10 } else { 0 };
        table.versus(
            format!("{what}: {readers} at once, {far} ms to the database"),
            "ms, p50 / p99",
            &of_with.percentiles(model),
            &of_without.percentiles(model),
        );
    }
    Ok(())
}
