//! What readers did not find in the book, as its owner learns of it.

use reqwest::Method;
use serde_json::{Value, json};

use super::owner::{BOOK, Run, book};
use crate::harness::model::Script;
use crate::harness::{Database, Running, World};

/// A library whose readers ask, and whose owner looks.
struct Library {
    world: World,
    chat: Running,
}

impl Library {
    async fn new() -> Self {
        let world = World::new().await;
        let world = world.with("BOOK_URL", BOOK).with("EMBEDDING_MODEL", "");
        let sections = [
            ("power", "Power", "The battery is in its chest."),
            ("gait", "Walking", "A gait is a pattern of steps."),
        ];
        let sections = sections.map(|(page, title, text)| {
            format!(
                "insert into book_chunks (
                     version, location, position, page, url, title, trail, content, lang, tokens,
                     hash, config, words
                 )
                 select id, '{page}', 0, '/book/{page}', '/book/{page}#s', '{title}',
                     '{{Basics,The {page}}}', '{text}', 'en', 9, sha256('{page}'), 'english',
                     to_tsvector('english', '{text}')
                 from book_versions;"
            )
        });
        let version = format!(
            "insert into book_versions (url, state, options) values ('{BOOK}', 'active', '');"
        );
        world.database.rows(&(version + &sections.concat())).await;
        let chat = world.chat().await;
        Self { world, chat }
    }

    /// A reader asks on a page, and the model says this; the conversation.
    async fn asked(&self, page: Option<&str>, question: &str, answer: &str) -> String {
        self.world.model.next(Script::answer(answer));
        let body = json!({ "message": question, "page": page });
        self.chat.post(&body).await.field("session_id")
    }

    fn gaps(&self, more: &[&str]) -> Run {
        let settings = [("DATABASE_URL", &*self.world.database.url)];
        book(&settings, &[&["gaps"], more].concat())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.gaps(&["--json"]).done()).unwrap()
    }

    /// Readers ask of all that an owner should learn, and of some that they should not.
    async fn ask(&self) {
        const NONE: &str = "[none] The book does not cover this.";
        let power = Some("/book/power");
        self.asked(power, "How long does the battery last?", NONE)
            .await;
        self.asked(None, "How long does  the battery\nlast? ", NONE)
            .await;
        let last = "How long do batteries last on one charge?";
        self.asked(power, last, "About two hours.").await;
        let url = Some("https://book.example/book/gait?from=mail#s");
        self.asked(url, "Play the xylophone\u{1b}[2J!", NONE).await;
        for (page, question) in [
            ("/book/ur", "روبوٹ کی بیٹری کتنی دیر چلتی ہے؟"),
            ("/book/ur", "بیٹری روبوٹ میں کہاں لگی ہے؟"),
            ("/book/ur/start", "توازن کیا ہے؟"),
        ] {
            self.asked(Some(page), question, "[none] کتاب میں نہیں۔")
                .await;
        }
        for question in ["What is a gait?", "A gait, please."] {
            self.asked(power, question, "A pattern of steps. [1] No more. [1]")
                .await;
        }
        self.asked(
            power,
            "Is the battery for the gait?",
            "It is.[1] So is it.[2]",
        )
        .await;

        // None of these counts.
        self.asked(power, "What was the battery long ago?", NONE)
            .await;
        let old = "update messages set created_at = created_at - interval '31 days'
            where content like '%long ago?'";
        self.world.database.rows(old).await;
        let passage = json!({ "message": "What is this battery?", "selected_text": "A battery." });
        assert_eq!(self.chat.post(&passage).await.status, 200);
        self.world.model.next(Script::refused());
        let failed = self.chat.ask("Does the battery fail?").await;
        assert_eq!(failed.status, 500);
        let without = self.world.chat_with("BOOK_URL", "").await;
        let unsearched = without.ask("Is there a battery without a book?").await;
        assert_eq!(unsearched.status, 200);
    }
}

#[tokio::test]
async fn an_owner_reads_what_readers_asked_in_vain_and_what_is_cited_most() {
    let library = Library::new().await;
    library.ask().await;
    let expected = "\
Questions of the last 30 days for which the book was searched: 10.
Answered from the book: 3. Not answered: 7.

Not answered, by the words that they share:

battery, last, long: 3, on /book/power (2), unknown (1)
- How long does the battery last? (2 times: the book does not cover it)
- How long do batteries last on one charge? (nothing cited)

بیٹری, روبوٹ: 2, on /book/ur (2)
- بیٹری روبوٹ میں کہاں لگی ہے؟ (nothing found)
- روبوٹ کی بیٹری کتنی دیر چلتی ہے؟ (nothing found)

- Play the xylophone [2J! (nothing found), on /book/gait (1)

- توازن کیا ہے؟ (nothing found), on /book/ur/start (1)

Cited most, by the answers that cite it:
     3  Walking > Basics > The gait
        https://book.example/book/gait#s
     1  Power > Basics > The power
        https://book.example/book/power#s
";
    assert_eq!(library.gaps(&[]).done(), expected);

    let json = library.json();
    let figures = [
        "days",
        "searched",
        "answered",
        "not_answered",
        "older_left_out",
    ];
    let figures = figures.map(|figure| json[figure].clone());
    assert_eq!(
        figures,
        [json!(30), json!(10), json!(3), json!(7), json!(false)]
    );
    assert_eq!(
        json["groups"][0],
        json!({
            "words": ["battery", "last", "long"],
            "asked": 3,
            "pages": [{ "page": "/book/power", "asked": 2 }, { "page": null, "asked": 1 }],
            "elsewhere": 0,
            "questions": [
                {
                    "question": "How long does the battery last?",
                    "asked": 2, "nothing_found": 0, "not_covered": 2, "nothing_cited": 0,
                },
                {
                    "question": "How long do batteries last on one charge?",
                    "asked": 1, "nothing_found": 0, "not_covered": 0, "nothing_cited": 1,
                },
            ],
            "more": 0,
        })
    );
    assert_eq!(json["groups"].as_array().unwrap().len(), 4);
    assert_eq!(
        json["cited"][0],
        json!({
            "title": "Walking", "section": "Basics > The gait",
            "url": "https://book.example/book/gait#s", "answers": 3,
        })
    );

    let longer = library.gaps(&["--days", "32"]).done();
    assert!(
        longer.contains("- What was the battery long ago?"),
        "{longer}"
    );
}

#[tokio::test]
async fn nobody_can_be_told_from_it() {
    let library = Library::new().await;
    library.ask().await;
    let told = library.gaps(&[]).done() + &library.gaps(&["--json"]).done();
    let secrets = "select unnest(array[
            id::text, session_id::text, replace(id::text, '-', ''), created_at::date::text,
            to_char(created_at, 'HH24:MI'), trunc(extract(epoch from created_at))::text
        ]) from messages";
    let secrets = library.world.database.rows(secrets).await;
    assert!(secrets.len() > 100);
    for secret in secrets.iter().flatten() {
        assert!(!told.contains(secret), "{secret} is in {told}");
    }
    // Whoever asked first, or in which conversation: it reads the same.
    let shuffle = "
        create temporary table shuffled as
            select id, row_number() over (order by md5(id::text)) as place from messages;
        alter table messages alter seq drop identity;
        update messages set seq = -place from shuffled where shuffled.id = messages.id;
        update messages set session_id = (select min(id::text)::uuid from chat_sessions)";
    library.world.database.rows(shuffle).await;
    let again = library.gaps(&[]).done() + &library.gaps(&["--json"]).done();
    assert_eq!(again, told);
}

#[tokio::test]
async fn what_is_told_goes_with_its_conversation() {
    let library = Library::new().await;
    let question = "How long does the battery last?";
    let first = library
        .asked(None, question, "[none] It does not say.")
        .await;
    library
        .asked(None, question, "[none] It does not say.")
        .await;
    assert_eq!(library.json()["not_answered"], 2);
    let path = format!("/chat?session_id={first}");
    let deleted = library.chat.request(Method::DELETE, &path).send().await;
    assert!(deleted.unwrap().status().is_success());
    assert_eq!(library.json()["not_answered"], 1);
    let json = &library.json()["groups"][0]["questions"];
    assert_eq!(json[0]["asked"], 1, "{json}");
}

#[tokio::test]
async fn of_more_questions_than_it_reads_the_newest_count() {
    let database = Database::new().await;
    database
        .rows(
            "with session as (
                 insert into chat_sessions (id) values (gen_random_uuid()) returning id
             ),
             question as (
                 insert into messages (id, session_id, role, content, page)
                 select gen_random_uuid(), session.id, 'user',
                     case when n = 1 then 'the first' else 'question word' || n end,
                     '/page/' || n
                 from session, generate_series(1, 10001) n order by n
                 returning id, session_id
             )
             insert into messages (id, session_id, role, content, reply_to, citations)
             select gen_random_uuid(), session_id, 'assistant', 'No.', id,
                 '{\"sources\":[],\"marks\":[],\"found\":3,\"uncovered\":true}'
             from question",
        )
        .await;
    let settings = [("DATABASE_URL", &*database.url)];
    let text = book(&settings, &["gaps"]).done();
    let told = "searched: 10000.\nAnswered from the book: 0. Not answered: 10000.\n\
                There are more: these are the newest 10000.\n";
    assert!(text.contains(told), "{text}");
    assert!(
        text.contains("\nquestion: 10000, on /page/10 (1), "),
        "{text}"
    );
    assert!(text.contains("others (9995)"), "{text}");
    assert!(text.contains("  and 9995 more\n"), "{text}");
    assert!(!text.contains("the first"), "{text}");
    let json: Value = serde_json::from_str(&book(&settings, &["gaps", "--json"]).done()).unwrap();
    assert_eq!(json["older_left_out"], true);
}

#[tokio::test]
async fn where_nothing_was_asked_or_can_be_read_it_says_so() {
    let database = Database::new().await;
    let settings = [("DATABASE_URL", &*database.url)];
    for (days, last) in [("1", "the last day,"), ("7", "the last 7 days,")] {
        let text = book(&settings, &["gaps", "--days", days]).done();
        let sentence =
            format!("In {last} no question was answered for which the book was searched.\n");
        assert!(text.starts_with(&sentence), "{text}");
        assert!(text.contains("BOOK_URL"), "{text}");
    }
    let json = book(&settings, &["gaps", "--json"]).done();
    let nothing = "{\"days\":30,\"searched\":0,\"answered\":0,\"not_answered\":0,\
                   \"older_left_out\":false,\"groups\":[],\"cited\":[]}\n";
    assert_eq!(json, nothing);

    for days in ["0", "-1", "many", "36501"] {
        book(&settings, &["gaps", "--days", days]).failed(2);
    }
    let error = book(&[], &["gaps"]).failed(1);
    assert!(
        error.starts_with("book: DATABASE_URL is missing"),
        "{error}"
    );
    let migrate = "run `cargo run --bin migrate` first";
    let empty = Database::empty().await;
    let error = book(&[("DATABASE_URL", &*empty.url)], &["gaps"]).failed(1);
    assert!(error.contains(migrate), "{error}");
    let old = "alter table messages drop column citations, drop column page";
    database.rows(old).await;
    let error = book(&settings, &["gaps"]).failed(1);
    assert!(error.contains(migrate), "{error}");
}
