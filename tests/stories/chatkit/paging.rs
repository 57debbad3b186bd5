//! Long threads and many threads, page by page: nothing twice, nothing missing.

use serde_json::{Value, json};

use super::UNKNOWN;
use crate::harness::World;
use crate::harness::chatkit::Reader;

/// The ids of all pages, with the size of each page.
async fn pages(reader: &Reader<'_>, kind: &str, params: Value) -> (Vec<String>, Vec<usize>) {
    let (mut ids, mut sizes, mut params) = (Vec::new(), Vec::new(), params);
    loop {
        let page = reader.json(kind, &params).await;
        let rows = page["data"].as_array().unwrap();
        sizes.push(rows.len());
        ids.extend(
            rows.iter()
                .map(|row| row["id"].as_str().unwrap().to_owned()),
        );
        if page["has_more"] == false {
            return (ids, sizes);
        }
        assert_eq!(page["after"], *ids.last().unwrap());
        params["after"] = page["after"].clone();
        assert!(sizes.len() < 1_000, "it never ends");
    }
}

/// The only column.
async fn column(world: &World, sql: &str) -> Vec<String> {
    world.database.rows(sql).await.concat()
}

#[tokio::test]
async fn a_long_thread_is_paged_through_in_both_directions_also_where_times_tie() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let thread = reader.begin("0").await.thread;
    // In groups of the same moment, with messages in between that readers never see.
    let more = format!(
        "insert into messages (id, session_id, role, content, created_at)
         select gen_random_uuid(), '{thread}',
            (array['user', 'assistant', 'system']::message_role_enum[])[1 + i % 3], i,
            now() + interval '1 second' * (i / 90)
         from generate_series(1, 372) i"
    );
    world.database.rows(&more).await;
    let visible = "select id from messages where role <> 'system' order by seq";
    let mut expected = column(&world, visible).await;
    assert_eq!(expected.len(), 250);
    for (limit, size) in [
        (json!(null), 20),
        (json!(7), 7),
        (json!(100), 100),
        (json!(9999), 100),
    ] {
        for order in ["asc", "desc"] {
            let params = json!({ "thread_id": thread, "limit": limit, "order": order });
            let (ids, sizes) = pages(&reader, "items.list", params).await;
            assert_eq!(ids, expected, "{limit} {order}");
            let full = sizes[..sizes.len() - 1].iter().all(|each| *each == size);
            assert!(full, "{limit}: {sizes:?}");
            expected.reverse();
        }
    }

    let whole = reader.get(&thread).await["items"].clone();
    assert_eq!(whole["data"].as_array().unwrap().len(), 20);
    assert_eq!(whole["has_more"], true);
    assert_eq!(whole["after"], expected[19]);
    let params = json!({ "thread_id": thread, "order": "asc", "after": whole["after"] });
    let (rest, _) = pages(&reader, "items.list", params).await;
    assert_eq!(rest, expected[20..]);
}

#[tokio::test]
async fn many_threads_are_paged_through_in_both_directions_also_where_times_tie() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let (reader, other) = (chatkit.reader(), chatkit.reader());
    reader.begin("0").await;
    other.begin("not mine").await;
    let more = "insert into chat_sessions (id, owner, title, created_at)
        select gen_random_uuid(), owner, 'thread ' || i, now() + interval '1 second' * (i / 90)
        from chat_sessions, generate_series(1, 250) i";
    world.database.rows(more).await;
    let mine = "select id from chat_sessions where owner =
        (select owner from chat_sessions where title = '0') order by created_at, id";
    let mut expected = column(&world, mine).await;
    assert_eq!(expected.len(), 251);
    for (limit, size) in [(json!(null), 20), (json!(0), 20), (json!(9999), 100)] {
        for order in ["asc", "desc"] {
            let params = json!({ "limit": limit, "order": order });
            let (ids, sizes) = pages(&reader, "threads.list", params).await;
            assert_eq!(sizes[0], size);
            assert_eq!(ids, expected, "{limit} {order}");
            expected.reverse();
        }
    }
    let (ids, _) = pages(&other, "threads.list", json!({ "limit": 100 })).await;
    assert_eq!(ids.len(), 251);
    assert!(ids.iter().all(|id| !expected.contains(id)));
}

#[tokio::test]
async fn a_page_has_twenty_entries_without_a_valid_limit_and_never_more_than_a_hundred() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let thread = reader.begin("0").await.thread;
    let more = format!(
        "insert into messages (id, session_id, role, content)
         select gen_random_uuid(), '{thread}', 'user', i from generate_series(1, 150) i;
         insert into chat_sessions (id, owner)
         select gen_random_uuid(), owner from chat_sessions, generate_series(1, 150)"
    );
    world.database.rows(&more).await;
    for kind in ["items.list", "threads.list"] {
        let count = async |limit: &Value| {
            let params = json!({ "thread_id": thread, "limit": limit });
            let page = reader.json(kind, &params).await;
            page["data"].as_array().unwrap().len()
        };
        for limit in [json!(null), json!(0), json!(-1), json!(i64::MIN)] {
            assert_eq!(count(&limit).await, 20, "{kind} {limit}");
        }
        for limit in [json!(100), json!(101), json!(9999), json!(i64::MAX)] {
            assert_eq!(count(&limit).await, 100, "{kind} {limit}");
        }
        assert_eq!(count(&json!(1)).await, 1);
        for limit in [json!("20"), json!(1.5), json!([]), json!(true)] {
            let params = json!({ "thread_id": thread, "limit": limit });
            let reply = reader.call(kind, &params).await;
            assert_eq!(reply.error(), (400, "invalid_request".into()), "{limit}");
        }
    }
}

/// A store that started again from the beginning would send a widget in circles.
#[tokio::test]
async fn a_cursor_that_is_not_in_the_list_is_refused() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let one = reader.begin("one").await;
    let two = reader.begin("two").await;
    let system = format!(
        "insert into messages (id, session_id, role, content)
         values (gen_random_uuid(), '{}', 'system', 'hidden') returning id",
        one.thread
    );
    let system = column(&world, &system).await.remove(0);
    for cursor in [
        UNKNOWN,
        "not-a-uuid",
        "",
        "0",
        &two.question,
        &two.thread,
        &one.thread,
        &system,
    ] {
        for order in ["asc", "desc"] {
            let params = json!({ "thread_id": one.thread, "after": cursor, "order": order });
            let reply = reader.call("items.list", &params).await;
            assert_eq!(reply.error(), (400, "invalid_request".into()), "{cursor:?}");
        }
    }
    for cursor in [UNKNOWN, "not-a-uuid", "", "0", &one.question] {
        let reply = reader
            .call("threads.list", &json!({ "after": cursor }))
            .await;
        assert_eq!(reply.error(), (400, "invalid_request".into()), "{cursor:?}");
    }
    for params in [
        json!({ "after": null }),
        json!({ "order": null, "limit": null }),
    ] {
        let page = reader.json("threads.list", &params).await;
        assert_eq!(page["data"].as_array().unwrap().len(), 2);
    }
    let last = json!({ "thread_id": one.thread, "order": "asc", "after": one.answer });
    let end = reader.json("items.list", &last).await;
    assert_eq!(end, json!({ "data": [], "has_more": false }));
}
