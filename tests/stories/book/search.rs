//! A question finds the sections of the book that it is about.

use std::fmt::Write;
use std::time::Duration;

use textbook_chat::book::evaluate::{self, Asked};
use textbook_chat::book::language;
use textbook_chat::book::pages::Base;
use textbook_chat::book::search::{Before, Query, Section, Vector, search};
use textbook_chat::config::DatabaseSettings;

use crate::harness::Database;

const BOOK: &str = "https://b.example/book/";

/// Anchor, content and `lang` of a piece; all are of one page.
type Piece<'a> = (&'a str, &'a str, &'a str);

struct Shelf {
    database: Database,
    connected: textbook_chat::database::Database,
    base: Base,
}

impl Shelf {
    async fn new() -> Self {
        let database = Database::new().await;
        let settings = DatabaseSettings {
            postgres: database.url.parse().unwrap(),
            pool_size: 1,
            connect_timeout: Duration::from_secs(5),
            wait_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
        };
        Self {
            connected: textbook_chat::database::Database::new(settings),
            base: Base::parse(BOOK).unwrap(),
            database,
        }
    }

    /// The small book that most stories search.
    async fn robots() -> Self {
        let shelf = Self::new().await;
        shelf.add(BOOK, "active").await;
        let walking = [
            ("", "A walking robot must not fall.", "en"),
            (
                "balance",
                "It keeps its balance with a gyroscope and the zero-moment point.",
                "en",
            ),
            (
                "balance",
                "Where the gyroscope drifts, balance is lost slowly.",
                "en",
            ),
            ("gait", "A gait is a pattern of steps.", "en"),
            ("gait", "The gyroscope has no part in it.", "en"),
            (
                "gait",
                "A trot is a gait in which legs move in pairs.",
                "en",
            ),
        ];
        shelf.page(BOOK, "/book/walking.html", &walking).await;
        let code = [
            (
                "paths",
                r"On Windows a path is C:\robots\config and o'reilly is a name.",
                "en",
            ),
            ("ros", "Call ros2 launch with --headless=true.", "en"),
        ];
        shelf.page(BOOK, "/book/code.html", &code).await;
        let urdu = [("toazun", "روبوٹ اپنا توازن کیسے برقرار رکھتا ہے", "en")];
        shelf.page(BOOK, "/book/ur/walking", &urdu).await;
        shelf
    }

    async fn add(&self, book: &str, state: &str) {
        let sql = format!(
            "insert into book_versions (url, state, options) values ('{book}', '{state}', '')"
        );
        self.database.rows(&sql).await;
    }

    /// Stores a page in the newest version of the book.
    async fn page(&self, book: &str, page: &str, pieces: &[Piece<'_>]) {
        let mut sql = String::new();
        for (position, (anchor, content, lang)) in pieces.iter().enumerate() {
            let fragment = if anchor.is_empty() { "" } else { "#" };
            let content = content.replace('\'', "''");
            let config = language::config(lang, &content);
            write!(
                sql,
                "insert into book_chunks (
                     version, location, position, page, url, title, trail, content, lang, tokens,
                     hash, config, words
                 )
                 select max(id), '{page}', {position}, '{page}', '{page}{fragment}{anchor}', 'Robots',
                     array['{anchor}'], '{content}', '{lang}', 10, sha256('{anchor}{position}'),
                     '{config}', setweight(to_tsvector('{config}', 'Robots {anchor}'), 'A')
                         || to_tsvector('{config}', '{content}')
                 from book_versions where url = '{book}';"
            )
            .unwrap();
        }
        self.database.rows(&sql).await;
    }

    async fn search(&self, query: Query<'_>) -> Vec<Section> {
        let found = search(&self.connected, &query).await.unwrap();
        found.unwrap_or_default()
    }

    /// The paths of what is found for a question.
    async fn find(&self, question: &str) -> Vec<String> {
        self.paths(self.query(question)).await
    }

    async fn paths(&self, query: Query<'_>) -> Vec<String> {
        let found = self.search(query).await;
        let paths = found
            .into_iter()
            .map(|it| it.url.replacen("https://b.example", "", 1));
        paths.collect()
    }

    fn query<'a>(&'a self, question: &'a str) -> Query<'a> {
        Query {
            book: self.base.url(),
            question,
            before: Before::Nothing,
            page: None,
            vector: None,
            sections: 8,
            max_chars: 16_000,
        }
    }
}

#[tokio::test]
async fn a_word_of_the_book_finds_its_section() {
    let shelf = Shelf::robots().await;
    assert_eq!(
        shelf.find("What is a trot?").await,
        ["/book/walking.html#gait"]
    );
    let found = shelf
        .search(shelf.query("How does it keep balanced?"))
        .await;
    let expected = Section {
        url: "https://b.example/book/walking.html#balance".into(),
        title: "Robots".into(),
        trail: vec!["balance".into()],
        // Both of its pieces, which follow each other.
        text: "It keeps its balance with a gyroscope and the zero-moment point.\n\n\
               Where the gyroscope drifts, balance is lost slowly."
            .into(),
        lang: "en".into(),
        page: "/book/walking.html".into(),
    };
    assert_eq!(found, [expected]);
}

#[tokio::test]
async fn pieces_of_a_section_that_do_not_follow_each_other_say_so() {
    let shelf = Shelf::robots().await;
    let found = shelf.search(shelf.query("steps in pairs")).await;
    assert_eq!(
        found[0].text,
        "A gait is a pattern of steps.\n\n[…]\n\nA trot is a gait in which legs move in pairs."
    );
}

#[tokio::test]
async fn words_with_hyphens_and_signs_are_found() {
    let shelf = Shelf::robots().await;
    for (question, expected) in [
        ("zero-moment", "/book/walking.html#balance"),
        ("the Zero-Moment-Point?", "/book/walking.html#balance"),
        ("what does --headless=true do", "/book/code.html#ros"),
        (r"C:\robots\config", "/book/code.html#paths"),
        (r"where is robots\config", "/book/code.html#paths"),
        ("o'reilly", "/book/code.html#paths"),
    ] {
        let found = shelf.find(question).await;
        assert_eq!(
            found.first().map(String::as_str),
            Some(expected),
            "{question}"
        );
    }
}

#[tokio::test]
async fn a_page_in_another_script_is_found_in_its_own_words() {
    let shelf = Shelf::robots().await;
    assert_eq!(shelf.find("توازن").await, ["/book/ur/walking#toazun"]);
    let both = shelf.find("توازن balance").await;
    assert_eq!(both.len(), 2, "{both:?}");
}

#[tokio::test]
async fn the_language_of_the_readers_page_comes_first_among_equals() {
    let shelf = Shelf::new().await;
    shelf.add(BOOK, "active").await;
    for lang in ["en", "de"] {
        let page = format!("/book/{lang}");
        let piece = [("x", "Roboter Navigation", lang)];
        shelf.page(BOOK, &page, &piece).await;
    }
    // A page of its own in each language, about something else.
    for lang in ["en", "de-AT"] {
        let page = format!("/book/{lang}/start");
        shelf.page(BOOK, &page, &[("y", "Roboter", lang)]).await;
    }
    for (page, first) in [
        ("/book/de-AT/start", "/book/de#x"),
        ("/book/en/start", "/book/en#x"),
    ] {
        let query = Query {
            page: Some(page),
            ..shelf.query("Navigation")
        };
        assert_eq!(shelf.paths(query).await[0], first);
    }
}

#[tokio::test]
async fn a_slip_of_the_pen_is_forgiven() {
    let shelf = Shelf::robots().await;
    for slip in ["gyrsocope", "gyrosope", "gyrosscope", "gyrescope"] {
        let found = shelf.find(slip).await;
        assert!(
            found.contains(&"/book/walking.html#balance".into()),
            "{slip}"
        );
    }
    assert!(shelf.find("gxrxscxpx").await.is_empty());
}

#[tokio::test]
async fn what_points_back_is_searched_with_the_question_before() {
    let shelf = Shelf::robots().await;
    let alone = shelf.query("Explain that more simply");
    assert!(shelf.paths(alone).await.is_empty());
    let after = Query {
        before: Before::Question("What is a trot?"),
        ..alone
    };
    assert_eq!(shelf.paths(after).await, ["/book/walking.html#gait"]);
    // A question that stands for itself is not drowned by it.
    let other = Query {
        before: Before::Question("What is a trot?"),
        ..shelf.query("Where is the config path?")
    };
    assert_eq!(shelf.paths(other).await[0], "/book/code.html#paths");
}

#[tokio::test]
async fn a_vector_finds_what_shares_no_word_with_the_question() {
    let shelf = Shelf::robots().await;
    let sql = format!(
        "create extension if not exists vector; {}
         insert into book_vectors (hash, model, vector)
         select hash, model, array(
             select case when (number = 1) = (url like '%#gait' and model = 'm') then 1 else 0 end
             from generate_series(1, 512) number
         )::real[]::vector::halfvec
         from book_chunks, (values ('m'), ('other')) models (model)",
        include_str!("../../../src/book/vectors.sql")
    );
    shelf.database.rows(&sql).await;
    let mut numbers = [0.0; 512];
    numbers[0] = 1.0;
    let query = |model| Query {
        vector: Some(Vector {
            numbers: &numbers,
            model,
        }),
        ..shelf.query("How do its feet go?")
    };
    let found = shelf.paths(query("m")).await;
    assert_eq!(found[0], "/book/walking.html#gait");
    assert!(shelf.paths(query("unknown")).await.is_empty());
    // Both words and vector.
    let both = Query {
        question: "gyroscope",
        page: Some("/book/walking"),
        ..query("m")
    };
    let both = shelf.paths(both).await;
    assert_eq!(both[0], "/book/walking.html#gait", "{both:?}");
    assert!(
        both.contains(&"/book/walking.html#balance".into()),
        "{both:?}"
    );
}

#[tokio::test]
async fn places_are_kept_for_the_readers_page() {
    let shelf = Shelf::new().await;
    shelf.add(BOOK, "active").await;
    for number in 0..12 {
        let page = format!("/book/{number}");
        shelf
            .page(BOOK, &page, &[("x", "Robots and robots and robots.", "en")])
            .await;
    }
    let own = [(
        "y",
        "The word robots, in a long sentence about other things.",
        "en",
    )];
    shelf.page(BOOK, "/book/own.html", &own).await;
    let without = shelf.find("robots").await;
    assert_eq!(without.len(), 8);
    assert!(!without.contains(&"/book/own.html#y".into()));
    for page in [
        "/book/own.html",
        "/book/own",
        "https://x.example/book/own/?q#f",
    ] {
        let query = Query {
            page: Some(page),
            ..shelf.query("robots")
        };
        let with = shelf.paths(query).await;
        assert_eq!(with[..5], without[..5], "the whole book keeps its places");
        assert_eq!(with[5], "/book/own.html#y", "{page}");
        assert_eq!(with.len(), 8);
    }
    for wrong in ["/book/none", "/", "", "\0", "https://", "?"] {
        let query = Query {
            page: Some(wrong),
            ..shelf.query("robots")
        };
        assert_eq!(
            shelf.paths(query).await,
            without,
            "a wrong page costs nothing"
        );
    }
}

#[tokio::test]
async fn only_the_active_index_of_this_book_is_searched() {
    let shelf = Shelf::new().await;
    assert!(shelf.find("robots").await.is_empty(), "there is none");
    let piece = [("x", "Robots.", "en")];
    for (book, state) in [
        ("https://other.example/book/", "active"),
        (BOOK, "building"),
    ] {
        shelf.add(book, state).await;
        shelf.page(book, "/book/a", &piece).await;
    }
    assert!(shelf.find("robots").await.is_empty());
    shelf
        .database
        .rows("update book_versions set state = 'active'")
        .await;
    assert_eq!(shelf.find("robots").await, ["/book/a#x"]);
}

#[tokio::test]
async fn whatever_is_asked_is_only_words() {
    let shelf = Shelf::robots().await;
    for question in [
        "",
        " \n ",
        "the of and",
        "?!",
        "\0",
        "'; drop table book_chunks; --",
        "gait & !trot | (balance <-> x):*A",
        r"\' \\ '' \",
        "$1 {vectors} %s",
        "'a':1A,2B \"b\"",
    ] {
        shelf.find(question).await;
    }
    assert!(shelf.find("the of and").await.is_empty());
    let long = "gait balance trot ".repeat(20_000);
    assert_eq!(shelf.find(&long).await.len(), 2);
    let many: String = (0..20_000).fold(String::new(), |mut many, number| {
        let _ = write!(many, "word{number} unknown{}x ", number % 7);
        many
    });
    shelf.find(&many).await;
    assert!(!shelf.find("gait").await.is_empty());
}

#[tokio::test]
async fn there_are_at_most_so_many_sections_and_characters() {
    let shelf = Shelf::robots().await;
    let all = shelf.query("robots balance gait trot path ros2");
    assert!(shelf.search(all).await.len() > 2);
    let two = Query { sections: 2, ..all };
    assert_eq!(shelf.search(two).await.len(), 2);
    for max_chars in [0, 40, 100, 200] {
        let found = shelf.search(Query { max_chars, ..all }).await;
        let chars: usize = found
            .iter()
            .map(|it| {
                it.text
                    .replace("\n\n[…]\n\n", "")
                    .replace("\n\n", "")
                    .chars()
                    .count()
            })
            .sum();
        assert!(chars <= max_chars, "{found:?}");
        assert_eq!(found.is_empty(), max_chars == 0);
    }
    let none = Query { sections: 0, ..all };
    assert!(shelf.search(none).await.is_empty());
}

#[tokio::test]
async fn figures_tell_what_is_found_and_what_is_missed() {
    let shelf = Shelf::robots().await;
    let questions = evaluate::questions(
        r#"{"question": "What is a trot?", "urls": ["walking.html#gait"], "kind": "exact"}
           {"question": "zero-moment", "urls": ["/book/walking/#balance"], "kind": "exact"}
           {"question": "How do I cook rice?", "urls": ["https://b.example/book/rice#cook"]}"#,
    )
    .unwrap();
    let asked: Vec<Asked<'_>> = questions.iter().map(Asked::from).collect();
    let figures = evaluate::evaluate(&shelf.connected, &shelf.base, &asked, true);
    let figures = figures.await.unwrap().unwrap();
    assert_eq!(figures.all.questions, 3);
    assert!((figures.all.recall_3 - 2.0 / 3.0).abs() < 1e-9);
    assert!((figures.kinds["exact"].mrr - 1.0).abs() < 1e-9);
    assert_eq!(figures.misses.len(), 1);
    assert_eq!(figures.misses[0].question, "How do I cook rice?");
}
