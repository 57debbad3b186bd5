//! An index is built beside the one in use, goes on where it was cut short, and is put in place whole.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;
use textbook_chat::book::index::{self, Job, Report};
use textbook_chat::book::pages::{self, Base, Options, Source, Web};
use textbook_chat::book::{Embedding, active, forget};
use textbook_chat::config::Settings;
use textbook_chat::database;
use textbook_chat::llm::Model;
use tokio::time::Instant;

use crate::harness::World;
use crate::harness::embedding::Mode;
use crate::harness::site::Server;

/// A book of numbered pages, served on this machine, and the database that it is indexed in.
struct Library {
    world: World,
    folder: TempDir,
    site: Server,
    database: database::Database,
    model: Model,
}

/// What an indexing may do.
#[derive(Clone, Copy, Default)]
struct Way {
    embeds: bool,
    accept_loss: bool,
    until: Option<Instant>,
    max_cost: Option<i64>,
}

impl Library {
    async fn of(pages: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let world = World::new().await;
        let world = world.with("LLM_TIMEOUT_MS", "2000");
        let settings = Settings::from_variables(world.settings().iter().cloned()).unwrap();
        let library = Self {
            site: Server::of(folder.path().to_owned()).await,
            database: database::Database::new(settings.database),
            model: Model::new(settings.model),
            world,
            folder,
        };
        for n in 0..pages {
            library.write(n, "first");
        }
        library.list(0..pages);
        library
    }

    /// A page of two sections, of which one has words of its own.
    fn write(&self, n: usize, edition: &str) {
        let html = format!(
            "<!doctype html><html lang=en><title>Page {n}</title><main><h1>Page {n}</h1>\
             <p>What page {n} is about, in its {edition} edition.</p>\
             <h2 id=more>More</h2><p>More of page {n}, {edition} of all: word{n}{edition}.</p></main></html>"
        );
        fs::write(self.folder.path().join(format!("p{n}.html")), html).unwrap();
    }

    fn list(&self, pages: impl IntoIterator<Item = usize>) {
        let site = self.site.book();
        let locations = pages
            .into_iter()
            .map(|n| format!("<url><loc>{site}p{n}.html</loc></url>"));
        let locations: Vec<_> = locations.collect();
        let sitemap = format!("<urlset>{}</urlset>", locations.concat());
        fs::write(self.folder.path().join("sitemap.xml"), sitemap).unwrap();
    }

    async fn index(&self) -> Result<Report, index::Error> {
        self.index_in(Way::default()).await
    }

    async fn index_in(&self, way: Way) -> Result<Report, index::Error> {
        let base = Base::parse(&self.site.book()).unwrap();
        let embedding = Embedding {
            model: &self.model,
            name: "text-embedding-3-small",
            price: 20,
            max_cost: way.max_cost.unwrap_or(1_000_000_000),
        };
        let job = Job {
            source: &Source::Web(Web::new(&base).unwrap()),
            base: &base,
            options: &Options::default(),
            embedding: way.embeds.then_some(embedding),
            accept_loss: way.accept_loss,
            until: way.until,
        };
        index::index(&self.database, job, &|_| ()).await
    }

    /// The texts of the version in use.
    async fn texts(&self) -> Vec<String> {
        let sql =
            "select content from book_chunks join book_versions version on version = version.id
            where state = 'active' order by page, position";
        let rows = self.world.database.rows(sql).await;
        rows.into_iter().flatten().collect()
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.world.database.rows(sql).await
    }
}

#[tokio::test]
async fn a_book_is_indexed_and_an_unchanged_one_costs_nothing_again() {
    let library = Library::of(30).await;
    let way = Way {
        embeds: true,
        ..Way::default()
    };
    let first = library.index_in(way).await.unwrap();
    assert!(first.done && first.warning.is_none(), "{first:?}");
    assert_eq!((first.pages, first.chunks, first.new), (30, 60, 30));
    assert_eq!((first.changed, first.gone, first.embedded), (0, 0, 60));
    assert_eq!(library.world.model.embedded().len(), 60);
    let spent = "select shard, nanos from spending";
    assert_eq!(library.rows(spent).await, [["-1", "12000"]]);

    let asked = library.site.requests.lock().unwrap().len();
    let again = library.index_in(way).await.unwrap();
    assert!(again.done);
    assert_eq!((again.pages, again.new, again.changed), (30, 0, 0));
    assert_eq!((again.embedded, again.embedding_calls), (0, 0));
    let requests = library.site.requests.lock().unwrap()[asked..].join("\n");
    assert_eq!(requests.matches("if-none-match").count(), 30, "{requests}");
    let versions = "select count(*), min(state) from book_versions";
    assert_eq!(library.rows(versions).await, [["1", "active"]]);
}

#[tokio::test]
async fn only_what_changed_is_read_and_embedded_anew_and_what_is_gone_goes() {
    let library = Library::of(20).await;
    let way = Way {
        embeds: true,
        ..Way::default()
    };
    library.index_in(way).await.unwrap();
    library.write(3, "second");
    library.write(20, "first");
    library.list((1..20).chain([20]));
    let report = library.index_in(way).await.unwrap();
    assert_eq!((report.new, report.changed, report.gone), (1, 1, 1));
    assert_eq!((report.pages, report.chunks, report.embedded), (20, 40, 4));
    let texts = library.texts().await.join("\n");
    assert!(texts.contains("word3second") && texts.contains("word20first"));
    assert!(!texts.contains("word3first") && !texts.contains("page 0 is"));
    let vectors = "select count(*) from book_vectors";
    assert_eq!(
        library.rows(vectors).await,
        [["40"]],
        "none of what is gone"
    );
    assert_eq!(
        library.rows("select count(*) from book_chunks").await,
        [["40"]]
    );
}

#[tokio::test]
async fn a_text_that_moves_to_another_page_is_not_embedded_again() {
    let library = Library::of(10).await;
    let way = Way {
        embeds: true,
        ..Way::default()
    };
    library.index_in(way).await.unwrap();
    let from = library.folder.path().join("p3.html");
    let to = library.folder.path().join("p10.html");
    fs::rename(from, to).unwrap();
    library.list((0..3).chain(4..11));
    let report = library.index_in(way).await.unwrap();
    assert_eq!((report.new, report.gone, report.embedded), (1, 1, 0));
}

#[tokio::test]
async fn a_book_that_lost_much_is_not_put_in_place_unless_that_is_right() {
    let library = Library::of(20).await;
    library.index().await.unwrap();
    library.list(0..13);
    let error = library.index().await.unwrap_err();
    assert!(
        matches!(
            error,
            index::Error::Lost {
                before: 40,
                now: 26
            }
        ),
        "{error}"
    );
    assert_eq!(library.texts().await.len(), 40);
    let way = Way {
        accept_loss: true,
        ..Way::default()
    };
    let report = library.index_in(way).await.unwrap();
    assert_eq!((report.pages, report.gone), (13, 7));
    assert_eq!(library.texts().await.len(), 26);
}

#[tokio::test]
async fn a_book_of_empty_pages_leaves_the_index_as_it_is() {
    let library = Library::of(20).await;
    library.index().await.unwrap();
    for n in 0..20 {
        let page = library.folder.path().join(format!("p{n}.html"));
        fs::write(
            page,
            "<!doctype html><title>Loading</title><div id=root></div>",
        )
        .unwrap();
    }
    let error = library.index().await.unwrap_err();
    assert!(
        matches!(error, index::Error::Pages(pages::Error::Drawn { .. })),
        "{error}"
    );
    assert!(
        error.to_string().contains("drawn in the browser"),
        "{error}"
    );
    assert_eq!(library.texts().await.len(), 40);
    // Nothing of it stays, not even for a moment after it is mended.
    for n in 0..20 {
        library.write(n, "second");
    }
    let report = library.index().await.unwrap();
    assert_eq!((report.pages, report.changed), (20, 20));
}

#[tokio::test]
async fn a_page_that_fails_for_the_moment_keeps_what_is_known_of_it() {
    let library = Library::of(20).await;
    library.index().await.unwrap();
    library.write(5, "second");
    // Larger than any page may be.
    let huge = "x".repeat(6_000_000);
    fs::write(library.folder.path().join("p4.html"), huge).unwrap();
    let report = library.index().await.unwrap();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert!(report.problems[0].reason.contains("larger than"));
    let texts = library.texts().await.join("\n");
    assert!(texts.contains("word4first") && texts.contains("word5second"));
}

#[tokio::test]
async fn of_two_at_once_the_second_says_so_and_leaves() {
    let library = Library::of(40).await;
    let (one, other) = tokio::join!(library.index(), library.index());
    let (done, busy) = match (one, other) {
        (Ok(done), Err(busy)) | (Err(busy), Ok(done)) => (done, busy),
        both => panic!("{both:?}"),
    };
    assert!(done.done);
    assert!(busy.to_string().contains("another indexing"), "{busy}");
    assert_eq!(library.texts().await.len(), 80);
}

#[tokio::test]
async fn time_that_is_too_short_leaves_the_rest_to_the_next_call() {
    let library = Library::of(150).await;
    let mut calls = 0;
    loop {
        calls += 1;
        let way = Way {
            until: Some(Instant::now() + Duration::from_millis(100)),
            ..Way::default()
        };
        let report = library.index_in(way).await.unwrap();
        if report.done {
            break;
        }
        assert!(
            report.left > 0 && active_pages(&library).await == 0,
            "{report:?}"
        );
        assert!(calls < 300, "it makes no progress");
    }
    assert_eq!(library.texts().await.len(), 300);
    let asked = library.site.requests.lock().unwrap();
    let pages = asked.iter().filter(|head| head.contains("/p")).count();
    assert_eq!(pages, 150, "each page once, over all calls");
}

async fn active_pages(library: &Library) -> u64 {
    let base = library.site.book();
    let active = active(&library.database, &base).await.unwrap();
    active.map_or(0, |active| active.pages)
}

#[tokio::test]
async fn without_embeddings_that_work_the_book_is_in_place_and_says_so() {
    for mode in [Mode::Fails, Mode::Short, Mode::Few, Mode::Silent] {
        let library = Library::of(10).await;
        library.world.model.embed(mode);
        let way = Way {
            embeds: true,
            ..Way::default()
        };
        let report = library.index_in(way).await.unwrap();
        assert!(report.done, "{mode:?}");
        let warning = report.warning.unwrap();
        assert!(
            warning.contains("20 of 20 new texts have no vector"),
            "{warning}"
        );
        assert_eq!(library.texts().await.len(), 20);
        // The next indexing goes on with them.
        library.world.model.embed(Mode::ByWords);
        let report = library.index_in(way).await.unwrap();
        assert_eq!((report.changed, report.embedded), (0, 20));
        assert_eq!(report.warning, None);
    }
}

#[tokio::test]
async fn a_book_that_is_too_dear_to_embed_is_not_embedded() {
    let library = Library::of(10).await;
    let way = Way {
        embeds: true,
        max_cost: Some(100),
        ..Way::default()
    };
    let error = library.index_in(way).await.unwrap_err();
    assert!(error.to_string().contains("BOOK_MAX_COST_USD"), "{error}");
    assert!(library.world.model.embedded().is_empty());
    let plain = library.index().await.unwrap();
    assert!(plain.done);
}

#[tokio::test]
async fn a_database_without_the_extension_searches_by_words_and_says_so() {
    let library = Library::of(10).await;
    library.rows("drop table book_vectors").await;
    let way = Way {
        embeds: true,
        ..Way::default()
    };
    let report = library.index_in(way).await.unwrap();
    assert!(report.done);
    assert!(report.warning.unwrap().contains("no extension `vector`"));
    assert!(library.world.model.embedded().is_empty());
    crate::harness::database::migrate(&library.world.database.url).unwrap();
    let report = library.index_in(way).await.unwrap();
    assert_eq!(report.embedded, 20, "the place for vectors is back");
}

#[tokio::test]
async fn an_index_that_is_forgotten_leaves_nothing() {
    let library = Library::of(10).await;
    library.index().await.unwrap();
    let url = library.site.book();
    assert!(forget(&library.database, &url).await.unwrap());
    assert!(!forget(&library.database, &url).await.unwrap());
    for table in ["book_versions", "book_pages", "book_chunks"] {
        let count = format!("select count(*) from {table}");
        assert_eq!(library.rows(&count).await, [["0"]], "{table}");
    }
}

#[tokio::test]
async fn the_function_wants_its_secret_and_stops_in_time() {
    let library = Library::of(30).await;
    let url = library.site.book();
    let mut world = World::new().await;
    world.set("DATABASE_URL", &library.world.database.url);
    world.set("OPENAI_BASE_URL", library.world.model.base_url());
    world.set("BOOK_URL", &url);
    let refresh = world.refresh().await;
    let ask = async |secret: &str| {
        let request = refresh.request(reqwest::Method::GET, "/api/refresh");
        let reply = request.header("authorization", format!("Bearer {secret}"));
        crate::harness::Reply::of(reply).await
    };
    assert_eq!(ask("").await.error(), (401, "unauthorized".into()));
    let refused = refresh.logged("request refused").await;
    assert_eq!(refused["cause"], "CRON_SECRET is not set");

    world.set("CRON_SECRET", "open sesame");
    // Less than what it needs to store what it has read: nothing is asked for.
    world.set("BOOK_REFRESH_SECONDS", "10");
    let refresh = world.refresh().await;
    let ask = async |secret: &str| {
        let request = refresh.request(reqwest::Method::GET, "/api/refresh");
        let reply = request.header("authorization", format!("Bearer {secret}"));
        crate::harness::Reply::of(reply).await
    };
    assert_eq!(
        ask("open sesam").await.error(),
        (401, "unauthorized".into())
    );
    let reply = ask("open sesame").await;
    assert_eq!(reply.text, r#"{"done":false,"pages":0,"left":30}"#);

    world.set("BOOK_REFRESH_SECONDS", "300");
    let refresh = world.refresh().await;
    let request = refresh.request(reqwest::Method::GET, "/api/refresh");
    let reply = request.header("authorization", "Bearer open sesame");
    let reply = crate::harness::Reply::of(reply).await;
    assert_eq!(reply.text, r#"{"done":true,"pages":30,"left":0}"#);
    assert_eq!(library.texts().await.len(), 60);
    assert_eq!(library.world.model.embedded().len(), 60);
}

#[tokio::test]
async fn a_site_that_dies_is_one_line_in_the_log_of_the_function() {
    let library = Library::of(30).await;
    library.index().await.unwrap();
    let mut world = World::new().await.with("CRON_SECRET", "open sesame");
    world.set("DATABASE_URL", &library.world.database.url);
    world.set("BOOK_URL", library.site.book());
    let refresh = world.refresh().await;
    // The sitemap, and nine pages.
    library.site.die_after(10);
    let request = refresh.request(reqwest::Method::GET, "/api/refresh");
    let reply = request.header("authorization", "Bearer open sesame");
    let reply = crate::harness::Reply::of(reply).await;
    assert_eq!(reply.text, r#"{"done":true,"pages":30,"left":0}"#);
    let told = "pages of the book cannot be read";
    let line = refresh.logged(told).await;
    assert_eq!(line["pages"], 21, "{line}");
    assert!(line["first"].as_str().unwrap().starts_with("/book/p"));
    assert!(line["reason"].as_str().unwrap().contains("connection"));
    let summary = refresh.logged("the book").await;
    assert_eq!(
        (&summary["gone"], &summary["problems"]),
        (&0.into(), &21.into())
    );
    assert_eq!(refresh.raw_log().matches(told).count(), 1);
    assert_eq!(library.texts().await.len(), 60);
}
