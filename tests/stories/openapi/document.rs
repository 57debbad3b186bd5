//! The document, and the checks of responses against it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reqwest::Method;
use reqwest::header::HeaderName;
use serde_json::{Value, json};

use crate::harness::Reply;

/// Responses that belong to no operation: another method, and another path.
const ELSEWHERE: [(u16, &str); 2] = [(405, "MethodNotAllowed"), (404, "NothingHere")];

/// Headers of HTTP itself, and the one that the document describes as `content`.
const OF_HTTP: [&str; 4] = [
    "content-length",
    "content-type",
    "date",
    "transfer-encoding",
];

pub(super) fn read(file: &str) -> Value {
    serde_json::from_slice(&fs::read(Path::new(super::ROOT).join(file)).unwrap()).unwrap()
}

pub(super) fn keys(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys().map(String::as_str))
}

fn texts(value: &Value) -> BTreeSet<&str> {
    let texts = value.as_array().unwrap().iter();
    texts.map(|text| text.as_str().unwrap()).collect()
}

/// A key as a segment of a JSON pointer.
fn segment(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// An object of the document, by its place in it.
#[derive(Clone)]
pub(super) struct Place(String);

impl Place {
    pub(super) fn schema(name: &str) -> Self {
        Self("/components/schemas".into()).child(name)
    }

    fn child(&self, key: &str) -> Self {
        Self(format!("{}/{}", self.0, segment(key)))
    }
}

/// A response that was seen, or is documented: the operation, the status, and the error's code or
/// the content type.
pub(super) type Kind = (String, u16, String);

/// A kind of request, of event or of their contents: the place of the union, and the type.
pub(super) type Variant = (String, String);

/// The document, and what was seen of it.
pub(super) struct Contract {
    pub(super) document: Value,
    pub(super) seen: BTreeSet<Kind>,
    pub(super) seen_variants: BTreeSet<Variant>,
    /// Whether the end of an AI SDK stream, which is not JSON, was seen.
    pub(super) seen_done: bool,
}

impl Contract {
    pub(super) fn read() -> Self {
        Self {
            document: read("public/openapi.json"),
            seen: BTreeSet::new(),
            seen_variants: BTreeSet::new(),
            seen_done: false,
        }
    }

    pub(super) fn get(&self, place: &Place) -> &Value {
        let value = self.document.pointer(&place.0);
        value.unwrap_or_else(|| panic!("the document has no {}", place.0))
    }

    /// The child with this key; if it is a reference, what it refers to.
    fn child(&self, place: &Place, key: &str) -> Option<Place> {
        let child = place.child(key);
        let value = self.document.pointer(&child.0)?;
        Some(match value["$ref"].as_str() {
            Some(reference) => behind(reference),
            None => child,
        })
    }

    /// Every operation, as `GET /chat`.
    pub(super) fn operations(&self) -> Vec<(String, Place)> {
        let paths = Place("/paths".into());
        let operations = keys(&self.document["paths"]).flat_map(|path| {
            let place = paths.child(path);
            let methods = keys(&self.document["paths"][path]);
            methods.map(move |method| {
                let name = format!("{} {path}", method.to_uppercase());
                (name, place.child(method))
            })
        });
        operations.collect()
    }

    /// Every response: of the operations, and of other methods and paths.
    pub(super) fn responses(&self) -> Vec<(String, u16, Place)> {
        let mut responses = Vec::new();
        for (name, operation) in self.operations() {
            let place = operation.child("responses");
            for status in keys(self.get(&place)) {
                let response = self.child(&place, status).unwrap();
                responses.push((name.clone(), status.parse().unwrap(), response));
            }
        }
        responses.extend(ELSEWHERE.map(|(status, name)| {
            let place = Place("/components/responses".into()).child(name);
            (name.to_owned(), status, place)
        }));
        responses
    }

    /// The error codes of a response; empty if it is not an error.
    pub(super) fn codes(&self, response: &Place) -> BTreeSet<&str> {
        let schema =
            "/content/application~1json/schema/allOf/1/properties/error/properties/code/enum";
        let codes = self.document.pointer(&format!("{}{schema}", response.0));
        codes.map(texts).unwrap_or_default()
    }

    /// Every kind of response that the document has.
    pub(super) fn kinds(&self) -> BTreeSet<Kind> {
        let mut kinds = BTreeSet::new();
        for (name, status, response) in self.responses() {
            let codes = self.codes(&response);
            let content = keys(&self.get(&response)["content"]).collect::<BTreeSet<_>>();
            let details = match (codes.is_empty(), content.is_empty()) {
                (false, _) => codes,
                (true, false) => content,
                (true, true) => BTreeSet::from([""]),
            };
            kinds.extend(
                details
                    .into_iter()
                    .map(|it| (name.clone(), status, it.to_owned())),
            );
        }
        kinds
    }

    /// Every variant of every union that tells its variants apart by their type.
    pub(super) fn variants(&self) -> BTreeSet<Variant> {
        let mut variants = BTreeSet::new();
        let mut places = vec![Place("/components/schemas".into())];
        while let Some(place) = places.pop() {
            let value = self.get(&place);
            let kinds = keys(&value["discriminator"]["mapping"]);
            variants.extend(kinds.map(|kind| (place.0.clone(), kind.to_owned())));
            places.extend(keys(value).map(|key| place.child(key)));
        }
        variants
    }

    /// Checks an accepted request against the document.
    pub(super) fn check_request(&mut self, method: &Method, path: &str, body: &Value) {
        let operation = Place("/paths".into())
            .child(path)
            .child(&method.as_str().to_lowercase());
        let content = operation.child("requestBody").child("content");
        let schema = self.child(&content.child("application/json"), "schema");
        self.check_value(&schema.unwrap(), body);
    }

    /// Checks a response against the document.
    pub(super) fn check(&mut self, method: &Method, url: &str, reply: &Reply) {
        let path = url.split('?').next().unwrap();
        let path = path.strip_prefix("/api").unwrap_or(path);
        let operation = Place("/paths".into())
            .child(path)
            .child(&method.as_str().to_lowercase());
        let (name, place) = if self.document.pointer(&operation.0).is_some() {
            let responses = operation.child("responses");
            let response = self.child(&responses, &reply.status.to_string());
            (format!("{method} {path}"), response)
        } else {
            let known = ELSEWHERE.iter().find(|(status, _)| *status == reply.status);
            let (_, name) = known.unwrap_or_else(|| panic!("{method} {url}: {reply:?}"));
            (
                (*name).to_owned(),
                Some(Place("/components/responses".into()).child(name)),
            )
        };
        let place = place.unwrap_or_else(|| panic!("{name}: {} is not listed", reply.status));
        self.check_headers(&name, &place, reply);
        let detail = self.check_content(&name, &place, reply);
        self.seen.insert((name, reply.status, detail));
    }

    fn check_headers(&self, name: &str, response: &Place, reply: &Reply) {
        let place = response.child("headers");
        for header in keys(self.get(&place)) {
            let header_place = self.child(&place, header).unwrap();
            let definition = self.get(&header_place);
            let Some(value) = reply.header(header) else {
                let required = definition["required"] == true;
                assert!(!required, "{name}: no header {header} on {reply:?}");
                continue;
            };
            let value = match definition["schema"]["type"].as_str() {
                Some("integer") => json!(value.parse::<u64>().unwrap()),
                _ => json!(value),
            };
            self.validate(&header_place.child("schema"), &value);
        }
        let listed: BTreeSet<_> = keys(self.get(&place)).collect();
        for header in reply.headers.keys().map(HeaderName::as_str) {
            let known = listed.contains(header) || OF_HTTP.contains(&header);
            assert!(
                known,
                "{name} {}: the header {header} is not listed",
                reply.status
            );
        }
    }

    /// The error's code or the content type.
    fn check_content(&mut self, name: &str, response: &Place, reply: &Reply) -> String {
        let content = response.child("content");
        if self.document.pointer(&content.0).is_none() {
            assert_eq!(reply.text, "", "{name} {}: there is a body", reply.status);
            return String::new();
        }
        let kind = reply.header("content-type").unwrap();
        let media = self.child(&content, kind);
        let media = media.unwrap_or_else(|| panic!("{name}: {kind} is not listed"));
        let schema = self.child(&media, "schema").unwrap();
        if kind == "text/event-stream" {
            self.check_stream_headers(response, reply);
            self.check_stream(&schema, &reply.text);
            return kind.to_owned();
        }
        let body = reply.json();
        self.check_value(&schema, &body);
        let Some(code) = body["error"]["code"].as_str() else {
            return kind.to_owned();
        };
        assert_eq!(body["request_id"].as_str(), reply.header("x-request-id"));
        let wait = body["error"]["retry_after"].as_u64();
        let header = reply.header("retry-after");
        assert_eq!(wait.map(|wait| wait.to_string()).as_deref(), header);
        code.to_owned()
    }

    fn check_stream_headers(&self, response: &Place, reply: &Reply) {
        let listed = response.child("headers");
        for header in keys(self.get(&listed)) {
            let of_streams = [
                "connection",
                "x-accel-buffering",
                "x-vercel-ai-ui-message-stream",
            ]
            .contains(&header);
            let missing = of_streams && reply.header(header).is_none();
            assert!(!missing, "no {header} on a stream");
        }
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
    }

    fn check_stream(&mut self, event: &Place, text: &str) {
        let data = event.child("properties").child("data");
        // If an event's data may also be `[DONE]`, the JSON is the second of two alternatives.
        let json = match self.get(&data).get("anyOf") {
            Some(_) => data.child("anyOf").child("1"),
            None => data.clone(),
        };
        let part = self.child(&json, "contentSchema").unwrap();
        // ChatKit is not known to accept comments.
        let comments = json.0 != data.0;
        assert!(text.ends_with("\n\n"), "{text:?}");
        for frame in text.split_terminator("\n\n") {
            if comments && frame.starts_with(':') {
                continue;
            }
            let data = frame.strip_prefix("data: ");
            let data = data.unwrap_or_else(|| panic!("{frame:?}"));
            self.validate(event, &json!({ "data": data }));
            if data == "[DONE]" {
                self.seen_done = true;
                continue;
            }
            // Validators do not look into JSON in a string.
            let value = serde_json::from_str(data).unwrap_or_else(|_| panic!("{data:?}"));
            self.check_value(&part, &value);
        }
    }

    fn check_value(&mut self, schema: &Place, value: &Value) {
        self.validate(schema, value);
        self.note(schema, value);
    }

    /// Notes which variants of unions occur in a valid value.
    fn note(&mut self, schema: &Place, value: &Value) {
        let definition = self.get(schema);
        let mapping = &definition["discriminator"]["mapping"];
        if let (Some(kind), true) = (value["type"].as_str(), mapping.is_object()) {
            let variant = behind(mapping[kind].as_str().unwrap());
            self.seen_variants
                .insert((schema.0.clone(), kind.to_owned()));
            return self.note(&variant, value);
        }
        let properties = schema.child("properties");
        for (key, value) in value.as_object().into_iter().flatten() {
            if let Some(property) = self.child(&properties, key) {
                self.note(&property, value);
            }
        }
        if let Some(items) = self.child(schema, "items") {
            for value in value.as_array().into_iter().flatten() {
                self.note(&items, value);
            }
        }
        if let Some(whole) = self.child(&schema.child("allOf"), "0") {
            self.note(&whole, value);
        }
    }

    /// Checks every example of a body against its schema; returns how many there are.
    pub(super) fn check_examples(mut self) -> usize {
        let mut bodies = Vec::new();
        for (_, operation) in self.operations() {
            bodies.push(operation.child("requestBody").child("content"));
        }
        for (_, _, response) in self.responses() {
            bodies.push(response.child("content"));
        }
        let mut checked = 0;
        for content in bodies {
            let Some(kinds) = self.document.pointer(&content.0).cloned() else {
                continue;
            };
            for (kind, media) in kinds.as_object().unwrap() {
                let schema = self.child(&content.child(kind), "schema").unwrap();
                let examples = media["examples"].as_object().into_iter().flatten();
                let examples = examples.map(|(_, example)| &example["value"]);
                for example in examples.chain(media.get("example")) {
                    match example.as_str() {
                        Some(text) => self.check_stream(&schema, text),
                        None => self.check_value(&schema, example),
                    }
                    checked += 1;
                }
            }
        }
        checked
    }

    /// Also refuses fields that are not in the document: clients may ignore them, the functions
    /// must not send them.
    pub(super) fn validate(&self, schema: &Place, value: &Value) {
        let mut root = self.document.clone();
        close(&mut root["components"]["schemas"]);
        root["$ref"] = json!(format!("#{}", schema.0));
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        let validator = options.build(&root).unwrap();
        let errors = validator.iter_errors(value);
        let errors: Vec<_> = errors
            .map(|error| format!("{} {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?} in {value:#}", schema.0);
    }
}

fn behind(reference: &str) -> Place {
    Place(reference.strip_prefix('#').unwrap().to_owned())
}

/// Allows objects only the fields that are listed.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("type") == Some(&json!("object")) && fields.contains_key("properties") {
                fields.insert("additionalProperties".into(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
