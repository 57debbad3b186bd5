//! The written contract, `public/openapi.json`, and the functions: whatever one has, the other has,
//! and every kind of response is as the document says.

mod book;
mod chat;
mod chatkit;
mod document;
mod everywhere;
mod feedback;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use reqwest::{Method, RequestBuilder};
use textbook_chat::config::Settings;
use textbook_chat::error::Code;
use textbook_chat::http::Route;
use textbook_chat::question::MAX_PAGE_CHARS;

use crate::harness::{Reply, Running, World};
use document::{Contract, keys, read};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const ROUTES: [Route; 5] = [
    textbook_chat::chat::ROUTE,
    textbook_chat::chatkit::ROUTE,
    textbook_chat::feedback::ROUTE,
    textbook_chat::health::ROUTE,
    textbook_chat::refresh::ROUTE,
];

#[test]
fn the_document_and_the_functions_know_the_same_paths_and_methods() {
    let contract = Contract::read();
    let document = &contract.document;
    assert_eq!(document["servers"][0]["url"], "/");
    assert_eq!(document["servers"][1]["url"], "/api");
    assert_eq!(document["servers"].as_array().unwrap().len(), 2);
    let paths: BTreeSet<_> = keys(&document["paths"]).map(str::to_owned).collect();

    let routes = ROUTES.iter().map(|route| format!("/{}", route.name));
    assert_eq!(paths, routes.collect());
    let functions = fs::read_dir(Path::new(ROOT).join("api")).unwrap();
    let functions = functions.map(|file| {
        let file = file.unwrap().path();
        format!("/{}", file.file_stem().unwrap().to_str().unwrap())
    });
    assert_eq!(paths, functions.collect());
    let rewrites = read("vercel.json")["rewrites"].take();
    let rewrites: BTreeMap<_, _> = rewrites
        .as_array()
        .unwrap()
        .iter()
        .map(|rewrite| {
            let [source, destination] =
                ["source", "destination"].map(|it| rewrite[it].as_str().unwrap().to_owned());
            (source, destination)
        })
        .collect();
    let below_api = paths
        .iter()
        .map(|path| (path.clone(), format!("/api{path}")));
    assert_eq!(rewrites, below_api.collect());

    for route in ROUTES {
        let path = format!("/{}", route.name);
        let documented: BTreeSet<_> = keys(&document["paths"][&path])
            .map(str::to_uppercase)
            .collect();
        let methods = route.methods.iter().chain([&Method::OPTIONS]);
        assert_eq!(
            documented,
            methods.map(ToString::to_string).collect(),
            "{path}"
        );
    }
}

#[test]
fn the_document_and_the_functions_know_the_same_codes_with_the_same_statuses() {
    let contract = Contract::read();
    let ours: BTreeSet<_> = Code::ALL
        .map(|code| (code.as_str(), code.status().as_u16()))
        .into();
    assert_eq!(ours.len(), Code::ALL.len());
    let responses = contract.responses();
    let answered = responses.iter().flat_map(|(_, status, response)| {
        let codes = contract.codes(response).into_iter();
        codes.map(move |code| (code, *status))
    });
    assert_eq!(ours, answered.collect(), "in the responses");
    let listed = contract.document["components"]["schemas"]["ErrorCode"]["oneOf"].as_array();
    let listed = listed.unwrap().iter().map(|code| {
        let status = code["title"].as_str().unwrap().parse().unwrap();
        (code["const"].as_str().unwrap(), status)
    });
    assert_eq!(ours, listed.collect(), "in the list");
    for (name, status, response) in &responses {
        let error = contract.get(response)["content"]["application/json"]["schema"]["allOf"][0]["$ref"]
            == "#/components/schemas/Error";
        assert_eq!(
            error,
            !contract.codes(response).is_empty(),
            "{name} {status} says which codes"
        );
    }
}

#[tokio::test]
async fn the_documents_limits_are_the_functions_own() {
    let document = read("public/openapi.json");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let world = World::new().await;
    let limits = Settings::from_variables(world.settings().iter().cloned())
        .unwrap()
        .question_limits;
    let longest = |schema: &str, field: &str| {
        document["components"]["schemas"][schema]["properties"][field]["maxLength"].clone()
    };
    assert_eq!(longest("Question", "message"), limits.message);
    assert_eq!(longest("Question", "selected_text"), limits.selected_text);
    assert_eq!(longest("InputText", "text"), limits.message);
    assert_eq!(longest("Question", "page"), MAX_PAGE_CHARS);
    let header = &document["paths"]["/chatkit"]["post"]["parameters"][0];
    assert_eq!(header["name"], "x-page");
    assert_eq!(header["schema"]["maxLength"], MAX_PAGE_CHARS);
    // An `@` is put in front of it.
    assert_eq!(longest("InputTag", "text"), limits.message - 1);
    assert_eq!(
        longest("UserMessageInput", "quoted_text"),
        limits.selected_text
    );
}

#[test]
fn the_documents_examples_are_as_it_says_itself() {
    let contract = Contract::read();
    assert!(contract.check_examples() > 30);
}

#[tokio::test]
async fn every_kind_of_response_is_as_the_document_says() {
    let mut contract = Contract::read();
    let world = World::new().await;
    let mut client = Client {
        contract: &mut contract,
    };
    client.chat(&world).await;
    client.chatkit(&world).await;
    client.feedback(&world).await;
    client.book().await;
    client.everywhere(&world).await;

    let kinds = contract.kinds();
    let unseen: Vec<_> = kinds.difference(&contract.seen).collect();
    assert!(
        unseen.is_empty(),
        "documented, and never answered: {unseen:#?}"
    );
    assert_eq!(kinds, contract.seen);
    let variants = contract.variants();
    let unseen: Vec<_> = variants.difference(&contract.seen_variants).collect();
    assert!(unseen.is_empty(), "documented, and never seen: {unseen:#?}");
    assert!(contract.seen_done, "no stream ended with [DONE]");

    let operations = contract.operations();
    let listed: BTreeSet<_> = kinds
        .iter()
        .map(|(name, status, _)| (name, status))
        .collect();
    let statuses: BTreeSet<_> = kinds.iter().map(|(_, status, _)| status).collect();
    eprintln!(
        "{} paths with {} operations; {} statuses, {} over all operations; {} codes; {} kinds of responses; {} variants of requests, events and items",
        keys(&contract.document["paths"]).count(),
        operations.len(),
        statuses.len(),
        listed.len(),
        Code::ALL.len(),
        kinds.len(),
        variants.len(),
    );
}

/// Sends requests and checks the responses against the contract.
struct Client<'a> {
    contract: &'a mut Contract,
}

impl Client<'_> {
    async fn send(&mut self, function: &Running, method: Method, path: &str, status: u16) -> Reply {
        self.send_with(function, method, path, status, |request| request)
            .await
    }

    async fn send_with(
        &mut self,
        function: &Running,
        method: Method,
        path: &str,
        status: u16,
        complete: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Reply {
        let reply = Reply::of(complete(function.request(method.clone(), path))).await;
        assert_eq!(reply.status, status, "{method} {path} {reply:?}");
        self.contract.check(&method, path, &reply);
        reply
    }
}
