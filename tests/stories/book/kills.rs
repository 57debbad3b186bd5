//! An indexing that is killed at any moment leaves readers the edition that they had or the new one,
//! whole, and the next indexing goes on.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use textbook_chat::book::pages::Base;
use textbook_chat::book::search::{Before, Query, search};
use textbook_chat::config::DatabaseSettings;
use tokio::task::JoinHandle;

use super::owner::Owner;
use crate::harness::site::Server;
use crate::harness::{Database, eventually};

const PAGES: u16 = 320;
const KILLS: usize = 20;

/// What the database calls the connections of the runs that are killed.
const DOOMED: &str = "doomed";

/// Every word of it stands on every page of every edition, but for the chapter's number.
fn question(chapter: u16) -> String {
    format!("What does chapter {chapter} say about machines that walk?")
}

/// An owner whose site brings out one edition of a book after the other.
struct Publisher {
    owner: Owner,
    site: Server,
}

impl Publisher {
    async fn new() -> Self {
        let owner = Owner::new(PAGES.into()).await;
        let site = Server::of(owner.folder.path().to_owned()).await;
        Self { owner, site }
    }

    fn url(&self) -> String {
        self.site.book()
    }

    /// Writes every page anew.
    async fn publish(&self, edition: u32) {
        self.owner.write(
            "index.html",
            &format!("Machines that walk, edition e{edition}."),
        );
        for n in 1..PAGES {
            let text = format!("Chapter {n} is about machines that walk, edition e{edition}.");
            self.owner.write(&format!("{n}.html"), &text);
        }
        // What was read of an edition a moment ago would be taken for the next one's.
        let later = "update book_pages set read_at = read_at - interval '1 day'";
        self.owner.database.rows(later).await;
    }

    /// Indexes it undisturbed; how long that takes.
    fn index(&self, database: &Database) -> Duration {
        let began = Instant::now();
        let settings = [("DATABASE_URL", &*database.url), ("BOOK_URL", &self.url())];
        self.owner.run_with(&settings, &["index"]).done();
        began.elapsed()
    }

    /// Begins to index it, and kills the program at that moment; says whether it was still at work.
    async fn index_until(&self, moment: impl Future<Output = ()>) -> bool {
        let database = format!("{}&application_name={DOOMED}", self.owner.database.url);
        let mut run = Command::new(env!("CARGO_BIN_EXE_book"))
            .arg("index")
            .env_clear()
            .envs([("DATABASE_URL", &database), ("BOOK_URL", &self.url())])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        moment.await;
        // SIGKILL; of no effect if it has ended by itself.
        run.kill().unwrap();
        let run = run.wait_with_output().unwrap();
        let killed = run.status.signal() == Some(9);
        let error = String::from_utf8_lossy(&run.stderr);
        assert!(killed || run.status.success(), "{}: {error}", run.status);
        self.wait_out_the_lease().await;
        killed
    }

    /// As if half a minute had passed: what the server was doing for the run is done, and the run's
    /// hold on the version is over.
    async fn wait_out_the_lease(&self) {
        let at_work =
            format!("select pid from pg_stat_activity where application_name = '{DOOMED}'");
        let rows = async || self.owner.database.rows(&at_work).await;
        let gone = eventually(async || rows().await.is_empty().then_some(())).await;
        assert!(gone.is_some(), "a connection outlives its process");
        let over = "update book_versions set held_until = '-infinity' where state = 'building'";
        self.owner.database.rows(over).await;
    }

    /// How far the indexing of this edition has come.
    async fn stage(&self, edition: u32) -> Stage {
        let sql = format!(
            "select
                 (select count(*) from book_pages join book_versions version on id = version
                  where state = 'building'),
                 (select count(*) from book_chunks join book_versions version on version.id = version
                  where state = 'active' and content like '%edition e{edition}.')"
        );
        let rows = self.owner.database.rows(&sql).await;
        let counts: Vec<u16> = rows[0].iter().map(|it| it.parse().unwrap()).collect();
        match counts[..] {
            [pages, 0] => Stage::Building(pages),
            _ => Stage::InPlace,
        }
    }

    /// Comes as soon as nothing is left to be stored.
    async fn all_stored(&self, edition: u32) {
        let all = [Stage::Building(PAGES), Stage::InPlace];
        let stored = async || all.contains(&self.stage(edition).await).then_some(());
        eventually(stored).await.expect("it stores nothing");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// So many pages are stored.
    Building(u16),
    InPlace,
}

impl Stage {
    /// How long a run may take that goes on from here, if a whole one takes so long.
    fn rest(self, whole: Duration) -> Duration {
        let left = match self {
            Self::Building(pages) => PAGES - pages,
            Self::InPlace => 0,
        };
        // Whatever is stored, it starts, compares and puts in place: a fifth.
        whole / 5 + whole / 5 * 4 * left.into() / PAGES.into()
    }
}

/// What readers do while the book is indexed: they search, and look at what they get.
struct Readers {
    publisher: Arc<Publisher>,
    reading: AtomicBool,
}

impl Readers {
    /// As the functions search; the editions in the order in which they were seen.
    async fn search(self: Arc<Self>, mut chapter: u16) -> Vec<u32> {
        let settings = DatabaseSettings {
            postgres: self.publisher.owner.database.url.parse().unwrap(),
            pool_size: 1,
            connect_timeout: Duration::from_secs(10),
            wait_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(10),
        };
        let database = textbook_chat::database::Database::new(settings);
        let base = Base::parse(&self.publisher.url()).unwrap();
        let mut seen = Vec::new();
        while self.reading.load(Ordering::SeqCst) {
            chapter = chapter % (PAGES - 1) + 1;
            let query = Query {
                book: base.url(),
                question: &question(chapter),
                before: Before::Nothing,
                page: None,
                vector: None,
                sections: 8,
                max_chars: 16_000,
            };
            let found = search(&database, &query).await.unwrap().unwrap_or_default();
            let found = found.iter().map(|it| (it.url.as_str(), it.text.as_str()));
            seen.push(look(chapter, &found.collect::<Vec<_>>()));
        }
        seen
    }

    /// The same with the program.
    fn run(&self, mut chapter: u16) -> Vec<u32> {
        let url = self.publisher.url();
        let mut seen = Vec::new();
        while self.reading.load(Ordering::SeqCst) {
            chapter = chapter % (PAGES - 1) + 1;
            let search = ["search", "--json", &question(chapter)];
            let run = self
                .publisher
                .owner
                .run_with(&[("BOOK_URL", &url)], &search);
            let out = run.done();
            let lines = out.lines().map(serde_json::from_str);
            let found: Vec<Value> = lines.collect::<Result<_, _>>().unwrap();
            let found = found
                .iter()
                .map(|it| (it["url"].as_str().unwrap(), it["text"].as_str().unwrap()));
            seen.push(look(chapter, &found.collect::<Vec<_>>()));
        }
        seen
    }
}

/// Ends the readers with the story, however that ends: the runtime waits for the program's.
struct End(Arc<Readers>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.reading.store(false, Ordering::SeqCst);
    }
}

/// The one edition of all that was found, which has the chapter that was asked about.
fn look(chapter: u16, found: &[(&str, &str)]) -> u32 {
    let asked = format!("/book/{chapter}.html");
    assert!(
        found.iter().any(|(url, _)| url.ends_with(&asked)),
        "chapter {chapter} is missing: {found:?}"
    );
    let editions: BTreeSet<u32> = found
        .iter()
        .map(|(_, text)| {
            let (_, edition) = text.rsplit_once("edition e").unwrap();
            edition.trim_end_matches('.').parse().unwrap()
        })
        .collect();
    assert_eq!(editions.len(), 1, "the editions are mixed: {found:?}");
    editions.into_iter().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_indexing_that_is_killed_at_any_moment_goes_on_and_readers_never_see_half_of_it() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |it| it.parse().unwrap());
    eprintln!("the moments are those of SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let publisher = Arc::new(Publisher::new().await);
    let index = || publisher.index(&publisher.owner.database);
    let mut edition = 1;
    publisher.publish(edition).await;
    index();

    let readers = Arc::new(Readers {
        publisher: Arc::clone(&publisher),
        reading: AtomicBool::new(true),
    });
    let mut at_work: Vec<_> = (0..2)
        .map(|reader| tokio::spawn(Arc::clone(&readers).search(reader * 100)))
        .collect();
    let program = Arc::clone(&readers);
    at_work.push(tokio::task::spawn_blocking(move || program.run(0)));
    let end = End(readers);
    edition += 1;
    publisher.publish(edition).await;
    let mut whole = index();
    eprintln!("undisturbed it takes {whole:?}");

    edition += 1;
    publisher.publish(edition).await;
    let (mut runs, mut kills, mut stage) = (0, Vec::new(), Stage::Building(0));
    while kills.len() < KILLS || !kills.contains(&Stage::Building(PAGES)) {
        runs += 1;
        assert!(runs <= 3 * KILLS, "most are over too soon: {kills:?}");
        let failed = at_work.iter().any(JoinHandle::is_finished);
        assert!(!failed, "a reader has failed, as is told above");
        let moment = stage.rest(whole).mul_f64(random.random());
        // Between the last page and the end there is little time to be met by chance.
        let at_the_end = runs % 4 == 0;
        let killed = if at_the_end {
            publisher.index_until(publisher.all_stored(edition)).await
        } else {
            publisher.index_until(tokio::time::sleep(moment)).await
        };
        if !killed && !at_the_end && stage == Stage::Building(0) {
            // A whole one takes no longer now.
            whole = moment;
        }
        stage = publisher.stage(edition).await;
        eprintln!("run {runs}, of edition {edition}: {stage:?}, killed: {killed}");
        if killed {
            kills.push(stage);
        } else {
            assert_eq!(stage, Stage::InPlace, "after a run that was not killed");
        }
        if stage == Stage::Building(PAGES) {
            index();
            stage = publisher.stage(edition).await;
            assert_eq!(stage, Stage::InPlace, "after a run with nothing to read");
        }
        if stage == Stage::InPlace {
            edition += 1;
            publisher.publish(edition).await;
            stage = Stage::Building(0);
        }
    }
    let reading = |stage: &Stage| matches!(stage, Stage::Building(1..PAGES));
    assert!(kills.iter().any(reading), "{kills:?}");

    index();
    drop(end);
    for reader in at_work {
        let editions = reader.await.unwrap();
        eprintln!("a reader has searched {} times", editions.len());
        assert!(editions.is_sorted(), "none comes back: {editions:?}");
        assert!(editions.len() > KILLS && editions.first() < editions.last());
    }
    // The same as if nothing had ever been killed.
    let undisturbed = Database::new().await;
    publisher.index(&undisturbed);
    let all = "select location, position, page, book_chunks.url, title, trail, content, lang,
                   tokens, hash, config, words, state
               from book_chunks join book_versions version on version.id = version
               order by location, position";
    let chunks = publisher.owner.database.rows(all).await;
    assert_eq!(chunks.len(), usize::from(PAGES));
    let newest = format!("edition e{edition}.");
    assert!(chunks.iter().all(|it| it[6].ends_with(&newest)));
    assert_eq!(chunks, undisturbed.rows(all).await);
}
