//! The operator's program `book`: what it says, what it prints for other programs, and how it ends.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::owner::{BOOK, Owner, book, provider};
use crate::harness::embedding::Mode;
use crate::harness::site::Server;
use crate::harness::{Database, ScriptedModel};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories/book/fixtures/mdbook")
}

#[derive(Deserialize)]
struct Expected {
    origin: String,
    base: String,
    pages: Vec<ExpectedPage>,
}

#[derive(Deserialize)]
struct ExpectedPage {
    url: String,
    title: String,
}

#[test]
fn without_a_database_a_dry_run_prints_each_piece_of_the_book_as_a_line_of_json() {
    let expected = std::fs::read_to_string(fixture().join("expected.json")).unwrap();
    let expected: Expected = serde_json::from_str(&expected).unwrap();
    let site = fixture().join("site");
    let address = format!("{}{}", expected.origin, expected.base);
    let run = book(
        &[],
        &[
            "index",
            "--dry-run",
            "--json",
            "--folder",
            site.to_str().unwrap(),
            "--site-url",
            &address,
        ],
    );
    let out = run.done();
    let mut pages = HashSet::new();
    for line in out.lines() {
        let keys: Vec<usize> = [
            "{\"url\":",
            ",\"title\":",
            ",\"trail\":[",
            ",\"text\":",
            ",\"lang\":",
        ]
        .iter()
        .map(|key| line.find(key).unwrap())
        .collect();
        assert!(keys[0] == 0 && keys.is_sorted(), "{line}");
        let piece: Value = serde_json::from_str(line).unwrap();
        assert_eq!(piece.as_object().unwrap().len(), 5, "{line}");
        let url = piece["url"].as_str().unwrap();
        let page = url
            .split('#')
            .next()
            .unwrap()
            .strip_prefix(&expected.origin);
        pages.insert((
            page.unwrap().to_owned(),
            piece["title"].as_str().unwrap().to_owned(),
        ));
    }
    let wanted = expected
        .pages
        .into_iter()
        .map(|page| (page.url, page.title));
    assert_eq!(pages, wanted.collect());
    assert!(out.contains("\"url\":\"https://book.example/book/#who-should-read-this\""));
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let owner = Owner::new(5).await;
    let plan = owner.index(&["--dry-run"]).done();
    assert!(
        plan.contains("would have 5 pages with text, in 5 pieces"),
        "{plan}"
    );
    assert!(
        plan.contains("5 new, 0 changed, 0 gone, 0 unchanged"),
        "{plan}"
    );
    assert!(plan.contains("To embed: 5 texts"), "{plan}");
    let rows = owner.database.rows("select * from book_versions").await;
    assert!(rows.is_empty(), "{rows:?}");

    owner.index(&["--no-embed"]).done();
    owner.write("1.html", "It says something else now.");
    owner.write("new.html", "A page that was not there before.");
    owner.remove("2.html");
    owner.list();
    let plan = owner.index(&["--dry-run"]).done();
    assert!(
        plan.contains("would have 5 pages with text, in 5 pieces"),
        "{plan}"
    );
    assert!(
        plan.contains("1 new, 1 changed, 1 gone, 3 unchanged"),
        "{plan}"
    );
    assert!(plan.contains("To embed: 5 texts"), "{plan}");
    let plan = owner
        .index(&["--dry-run", "--no-embed", "--exclude", "/book/"])
        .failed(1);
    assert!(plan.contains("no page has any text"), "{plan}");
    assert_eq!(owner.check()["pages"], 5, "it is what it was");
}

#[tokio::test]
async fn a_dry_run_counts_the_texts_that_have_no_vector_yet() {
    let owner = Owner::new(4).await;
    owner.index(&[]).done();
    owner
        .database
        .rows(
            "insert into book_vectors
             select hash, 'text-embedding-3-small', array_fill(0.1, array[512])::vector::halfvec
             from book_chunks where url <> '/book/3.html'",
        )
        .await;
    owner.write("1.html", "It says something else now.");
    let plan = owner.index(&["--dry-run", "--max-cost", "0"]).done();
    assert!(
        plan.contains("0 new, 1 changed, 0 gone, 3 unchanged"),
        "{plan}"
    );
    assert!(plan.contains("To embed: 2 texts"), "{plan}");
    assert!(
        plan.contains("It would be refused, for it may cost $0.00"),
        "{plan}"
    );
    let check = owner.check();
    assert_eq!(check["without_vector"], 1, "{check}");
}

#[tokio::test]
async fn with_a_key_each_new_text_is_embedded_and_what_that_took_is_told() {
    let owner = Owner::new(4).await;
    // The second request finds nobody.
    let provider = provider(1);
    let settings = [
        ("OPENAI_API_KEY", "sk-test"),
        ("OPENAI_BASE_URL", &provider),
    ];
    let error = owner.index_with(&settings, &["--max-cost", "0"]).failed(1);
    assert!(
        error.contains("may cost $0.00") && error.contains("--no-embed"),
        "{error}"
    );

    let report = owner.index_with(&settings, &[]).done();
    let vectors = "Vectors: 4 texts embedded, 100 tokens, less than $0.01.";
    assert!(report.contains(vectors), "{report}");
    assert_eq!(owner.check()["without_vector"], 0);
    let spent = owner.database.rows("select sum(nanos) from spending").await;
    assert_eq!(spent[0][0], "2000");
    let report = owner.index_with(&settings, &[]).done();
    assert!(
        !report.contains("Vectors") && !report.contains("Warning"),
        "{report}"
    );

    owner.write("1.html", "It says something else now.");
    let report = owner.index_with(&settings, &[]).done();
    assert!(report.contains("0 new, 1 changed, 0 gone"), "{report}");
    assert!(
        report.contains("Warning: ") && report.contains("1 of 1 new texts"),
        "{report}"
    );
    assert_eq!(owner.check()["without_vector"], 1);
}

#[tokio::test]
async fn a_book_is_indexed_from_a_folder_and_the_second_time_nothing_is_new() {
    let database = Database::new().await;
    let settings = [("DATABASE_URL", &*database.url), ("BOOK_URL", BOOK)];
    let site = fixture().join("site");
    let index = ["index", "--folder", site.to_str().unwrap()];
    let first = book(&settings, &index);
    assert!(
        first
            .error
            .contains("by its words alone: set OPENAI_API_KEY"),
        "{}",
        first.error
    );
    let first = first.done();
    assert!(first.contains("is in place: 9 pages with text"), "{first}");
    assert!(first.contains("11 new, 0 changed, 0 gone"), "{first}");
    assert!(
        first.contains("it is marked noindex (1):\n  /book/print.html\n"),
        "{first}"
    );
    assert!(
        first.contains("it repeats another page (1):\n  /book/intro.html"),
        "{first}"
    );

    let versions = "select id from book_versions";
    let before = database.rows(versions).await;
    let second = book(&settings, &index).done();
    assert!(
        second.contains("is up to date: 9 pages with text"),
        "{second}"
    );
    assert!(second.contains("0 new, 0 changed, 0 gone"), "{second}");
    assert_eq!(database.rows(versions).await, before, "no version was made");

    let json = book(&settings, &[&index[..], &["--json"]].concat()).done();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["done"], true);
    assert_eq!((&json["url"], &json["pages"]), (&BOOK.into(), &9.into()));
    assert_eq!(json["dollars"], 0.0);
    let plan = book(&settings, &[&index[..], &["--dry-run"]].concat()).done();
    assert!(
        plan.contains("0 new, 0 changed, 0 gone, 11 unchanged"),
        "{plan}"
    );
}

#[tokio::test]
async fn a_page_that_changed_and_one_that_is_gone_are_told() {
    let owner = Owner::new(6).await;
    owner.index(&[]).done();
    owner.write("1.html", "It says something else now.");
    owner.remove("2.html");
    owner.list();
    let report = owner.index(&[]).done();
    assert!(
        report.contains("is in place: 5 pages with text"),
        "{report}"
    );
    assert!(report.contains("0 new, 1 changed, 1 gone"), "{report}");
}

#[tokio::test]
async fn a_page_that_cannot_be_read_is_named_and_stays_as_it_was() {
    let owner = Owner::new(4).await;
    owner.index(&[]).done();
    owner.write("1.html", &"long ".repeat(1_100_000));
    let report = owner.index(&[]).done();
    assert!(
        report.contains("\nNot read: it is larger than 5000000 bytes (1):\n  /book/1.html\n"),
        "{report}"
    );
    assert!(
        report.contains("is up to date: 4 pages with text"),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_dies_while_it_is_read_is_one_entry_and_its_pages_stay_as_they_were() {
    let owner = Owner::new(40).await;
    let site = Server::of(owner.folder.path().to_owned()).await;
    let url = site.book();
    let settings = [("BOOK_URL", &*url)];
    owner.run_with(&settings, &["index"]).done();
    let texts = "select content from book_chunks order by location, position";
    let before = owner.database.rows(texts).await;

    // The sitemap, and five pages.
    site.die_after(6);
    let plan = owner.run_with(&settings, &["index", "--dry-run"]).done();
    site.die_after(6);
    let report = owner.run_with(&settings, &["index"]).done();
    site.die_after(6);
    let json = owner.run_with(&settings, &["index", "--json"]).done();
    assert!(plan.contains("0 gone, 40 unchanged"), "{plan}");
    let untouched = "is up to date: 40 pages with text, in 40 pieces.\n\
                     Addresses: 0 new, 0 changed, 0 gone.\n";
    assert!(report.contains(untouched), "{report}");
    for text in [&plan, &report] {
        assert_eq!(text.matches("Not read").count(), 1, "{text}");
        let (_, entry) = text.split_once("Not read: the connection fails").unwrap();
        let lines: Vec<&str> = entry.lines().collect();
        assert!(lines[0].ends_with(" (35):"), "{text}");
        assert!(lines[1..11].iter().all(|it| it.starts_with("  /book/")));
        assert_eq!(lines[11], "  and 25 more", "{text}");
    }
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["problems"].as_array().unwrap().len(), 35, "{json}");
    assert!(json["problems"][0]["url"].is_string(), "{json}");
    assert_eq!(owner.database.rows(texts).await, before);
}

#[tokio::test]
async fn a_folder_that_is_not_what_lies_at_the_address_is_told_by_its_first_page() {
    let owner = Owner::new(4).await;
    let error = owner
        .index(&["--site-url", "https://book.example/", "--dry-run"])
        .failed(1);
    let told = "none of 4 pages can be read; the first is /book/1.html: there is no such page";
    assert!(error.contains(told), "{error}");
    assert!(
        error.contains("must be what lies at the book's address"),
        "{error}"
    );
}

#[tokio::test]
async fn a_book_that_has_lost_much_is_put_in_place_only_where_that_is_said() {
    let owner = Owner::new(6).await;
    owner.index(&[]).done();
    for n in 1..4 {
        owner.remove(&format!("{n}.html"));
    }
    owner.list();
    let plan = owner.index(&["--dry-run"]).done();
    assert!(
        plan.contains("It would be refused, for the index has 6 pieces now"),
        "{plan}"
    );
    let error = owner.index(&[]).failed(1);
    assert!(
        error.contains("only 3 pieces of text left, of 6"),
        "{error}"
    );
    assert!(error.contains("--accept-loss"), "{error}");
    assert_eq!(owner.check()["pages"], 6);
    let report = owner.index(&["--accept-loss"]).done();
    assert!(
        report.contains("is in place: 3 pages with text"),
        "{report}"
    );
}

#[tokio::test]
async fn a_book_that_is_drawn_in_the_browser_ends_with_3_and_both_ways_out() {
    let owner = Owner::new(6).await;
    owner.index(&[]).done();
    for n in 1..6 {
        owner.write(&format!("{n}.html"), "");
    }
    for more in [&[][..], &["--dry-run"], &["--dry-run", "--json"]] {
        let error = owner.index(more).failed(3);
        assert!(error.contains("drawn in the browser"), "{error}");
        assert!(
            error.contains("let the gate through while the site is built"),
            "{error}"
        );
        assert!(error.contains("build a copy without the gate"), "{error}");
    }
    assert_eq!(owner.check()["pages"], 6, "the index stays as it is");
}

#[tokio::test]
async fn what_is_read_and_left_out_can_be_said_for_one_time() {
    let owner = Owner::new(4).await;
    owner
        .index(&["--exclude", "/book/1", "--exclude", "/book/2"])
        .done();
    assert_eq!(owner.check()["pages"], 2);
    owner
        .index(&["--include", "/book/3", "--accept-loss"])
        .done();
    assert_eq!(owner.check()["pages"], 1);
    assert_eq!(owner.check()["same_rules"], true);
    owner.index(&["--drop", ".quiz"]).done();
    assert_eq!(owner.check()["same_rules"], false);
    let error = owner.index(&["--select", "<main>"]).failed(1);
    assert!(error.contains("is not a CSS selector"), "{error}");
}

#[tokio::test]
async fn a_book_is_searched_and_its_search_is_evaluated() {
    let owner = Owner::new(3).await;
    let nothing = owner.run(&["search", "page 2"]).failed(1);
    assert!(nothing.contains("there is no index"), "{nothing}");
    owner.index(&[]).done();
    let first = owner
        .run(&["search", "--json", "What is page 2 about?"])
        .done();
    let lines: Vec<serde_json::Value> = first
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let url = lines[0]["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("https://book.example/book/"), "{url}");
    let text = owner.run(&["search", "What is page 2 about?"]).done();
    assert!(text.starts_with("1. ") && text.contains(&url), "{text}");

    let questions = tempfile::NamedTempFile::new().unwrap();
    let line = |question: &str, url: &str| {
        format!("{{\"question\":\"{question}\",\"urls\":[\"{url}\"]}}\n")
    };
    let known = line("What is page 2 about?", &url);
    let unknown = line(
        "What is page 2 about?",
        "https://book.example/book/nowhere.html",
    );
    std::fs::write(questions.path(), known + &unknown).unwrap();
    let file = questions.path().to_str().unwrap();
    let figures = owner.run(&["evaluate", file, "--json"]).done();
    let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
    assert_eq!(figures["all"]["questions"], 2);
    assert!((figures["all"]["recall_5"].as_f64().unwrap() - 0.5).abs() < 1e-9);
    assert_eq!(figures["misses"].as_array().unwrap().len(), 1);
    let table = owner.run(&["evaluate", file]).done();
    assert!(
        table.contains("0.500") && table.contains("not found"),
        "{table}"
    );
    std::fs::write(questions.path(), "no json").unwrap();
    let error = owner.run(&["evaluate", file]).failed(1);
    assert!(error.contains("line 1"), "{error}");
}

// The model must answer while the program runs, for which the story waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_search_is_evaluated_as_a_turn_would_search_with_vectors_where_there_are_any() {
    let owner = Owner::new(40).await;
    // No word of it counts in a search by words.
    owner.write("they.html", "They are what you were before this.");
    owner.list();
    let model = ScriptedModel::start();
    let base = model.base_url();
    let settings = [("OPENAI_API_KEY", "sk-test"), ("OPENAI_BASE_URL", &base)];

    let questions = tempfile::NamedTempFile::new().unwrap();
    let lines = (1..40).map(|n| {
        let question = format!("What is in chapter {n}?");
        json!({"question": question, "urls": [format!("{n}.html")], "kind": "words"})
    });
    let last = json!({
        "question": "What were you before this?", "urls": ["they.html"], "kind": "none"
    });
    let lines: Vec<String> = lines.chain([last]).map(|it| it.to_string()).collect();
    std::fs::write(questions.path(), lines.join("\n")).unwrap();
    let file = questions.path().to_str().unwrap();
    let evaluate = |more: &[&str]| {
        let before = model.embedding_requests();
        let run = owner.run_with(&settings, &[&["evaluate", file], more].concat());
        let remarks = run.error.clone();
        (run.done(), model.embedding_requests() - before, remarks)
    };
    let figures = |more: &[&str]| {
        let (json, requests, _) = evaluate(&[&["--json"], more].concat());
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["all"]["questions"], 40);
        let found = ["words", "none"].map(|kind| json["kinds"][kind]["recall_3"].clone());
        (json["by"].as_str().unwrap().to_owned(), found, requests)
    };

    let nothing = owner.run(&["evaluate", file]).failed(1);
    assert!(nothing.contains("there is no index"), "{nothing}");
    owner.index(&["--no-embed"]).done();
    let by_words = ("words".to_owned(), [json!(1.0), json!(0.0)], 0);
    assert_eq!(figures(&[]), by_words, "the index has no vectors");

    owner.index_with(&settings, &[]).done();
    let with_vectors = ("words and vectors".to_owned(), [json!(1.0), json!(1.0)], 1);
    assert_eq!(figures(&[]), with_vectors);
    assert_eq!(figures(&["--no-embed"]), by_words);
    let (text, ..) = evaluate(&[]);
    let first = "Searched by words and vectors of text-embedding-3-small.\n";
    assert!(text.starts_with(first), "{text}");

    model.embed(Mode::Fails);
    let (text, requests, remarks) = evaluate(&[]);
    assert!(text.starts_with("Searched by words alone.\n"), "{text}");
    assert_eq!(requests, 1);
    assert!(
        remarks.starts_with("book: searched by words alone: the model refused"),
        "{remarks}"
    );
}

#[tokio::test]
async fn the_index_of_a_book_is_looked_at_and_forgotten() {
    let owner = Owner::new(3).await;
    let nothing = owner.run(&["check"]).failed(1);
    assert!(
        nothing.contains("there is no index of https://book.example/book/"),
        "{nothing}"
    );
    let nothing = owner.run(&["check", "--json"]);
    assert_eq!(nothing.code, 1);
    assert!(nothing.out.contains("\"indexed\":false"), "{}", nothing.out);

    owner.index(&[]).done();
    let text = owner.run(&["check"]).done();
    assert!(
        text.contains("is there: 3 pages, 3 pieces.\nCompared with the book just now"),
        "{text}"
    );
    assert!(
        text.contains("3 of 3 pieces have no vector of text-embedding-3-small"),
        "{text}"
    );
    owner
        .database
        .rows(
            "insert into book_vectors
             select hash, 'text-embedding-3-small', array_fill(0.1, array[512])::vector::halfvec
             from book_chunks",
        )
        .await;
    let text = owner.run(&["check"]).done();
    assert!(
        text.contains("Each piece has a vector of text-embedding-3-small"),
        "{text}"
    );

    let other = owner
        .run(&["forget", "--url", "https://book.example/other/"])
        .done();
    assert!(
        other.contains("There is no index of https://book.example/other/"),
        "{other}"
    );
    let gone = owner.run(&["forget"]).done();
    assert_eq!(
        gone,
        "The index of https://book.example/book/ is removed.\n"
    );
    for table in ["book_versions", "book_pages", "book_chunks", "book_vectors"] {
        let rows = owner
            .database
            .rows(&format!("select count(*) from {table}"))
            .await;
        assert_eq!(rows[0][0], "0", "{table}");
    }
}

#[tokio::test]
async fn an_index_of_another_address_than_that_of_the_settings_is_remarked_on() {
    let owner = Owner::new(3).await;
    let run = owner.index(&["--site-url", "https://copy.example/book/", "--dry-run"]);
    let remark = "questions are answered from the index of BOOK_URL, https://book.example/book/; \
                  this one is of https://copy.example/book/";
    assert!(run.error.contains(remark), "{}", run.error);
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_a_line_each_by_its_variable() {
    let wrong = [
        ("BOOK_URL", "http://book.example/"),
        ("BOOK_MAX_PAGES", "many"),
    ];
    let error = book(&wrong, &["check"]).failed(1);
    let lines: Vec<&str> = error.lines().collect();
    assert!(
        lines[0].starts_with("book: BOOK_URL must be the address"),
        "{error}"
    );
    assert!(
        lines[1].starts_with("book: BOOK_MAX_PAGES must be"),
        "{error}"
    );
    assert_eq!(lines.len(), 2, "{error}");

    for command in ["index", "check", "forget"] {
        let error = book(&[], &[command]).failed(1);
        assert!(error.starts_with("book: BOOK_URL is missing"), "{error}");
        let error = book(&[("BOOK_URL", BOOK)], &[command]).failed(1);
        assert!(
            error.starts_with("book: DATABASE_URL is missing"),
            "{error}"
        );
    }
    let error = book(&[], &["index", "--dry-run", "--url", "book.example"]).failed(1);
    assert!(error.contains("is not a URL"), "{error}");
    let nowhere = [
        "index",
        "--dry-run",
        "--folder",
        "nowhere",
        "--site-url",
        BOOK,
    ];
    let error = book(&[], &nowhere).failed(1);
    assert!(
        error.contains("--folder: there is no folder nowhere"),
        "{error}"
    );

    for usage in [
        &[][..],
        &["index", "--site-url", BOOK],
        &["index", "--max-cost", "much"],
    ] {
        book(&[], usage).failed(2);
    }
    let empty = Database::empty().await;
    let settings = [("DATABASE_URL", &*empty.url), ("BOOK_URL", BOOK)];
    for command in ["check", "forget"] {
        let error = book(&settings, &[command]).failed(1);
        assert!(
            error.contains("run `cargo run --bin migrate` first"),
            "{error}"
        );
    }
}
