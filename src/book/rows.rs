//! What the index stores, as JSON that PostgreSQL accepts.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::embed::embedded_text;
use super::language;
use super::pages::Chunk;

/// The name under which the vector of a chunk is kept, in hexadecimal.
pub(super) fn vector_key(chunk: &Chunk) -> String {
    let text = embedded_text(&chunk.title, &chunk.trail, &chunk.text);
    let bytes = Sha256::digest(text.as_bytes());
    bytes
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect::<Vec<_>>()
        .concat()
}

/// A chunk as `put_page.sql` takes it.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    #[serde(flatten)]
    chunk: &'a Chunk,
    hash: String,
    config: &'static str,
}

impl<'a> Row<'a> {
    pub(super) fn of(chunk: &'a Chunk) -> Self {
        Self {
            chunk,
            hash: vector_key(chunk),
            config: language::config(&chunk.lang, &chunk.text),
        }
    }
}

/// As JSON; texts lose what PostgreSQL's text cannot hold.
pub(super) fn json(value: &impl Serialize) -> String {
    // Our own types, whose maps have strings for keys.
    let json = serde_json::to_string(value).unwrap_or_default();
    // A text may also spell it out: then another backslash stands before this one.
    if !json.contains("\\u0000") {
        return json;
    }
    let mut value = serde_json::to_value(value).unwrap_or_default();
    without_nul(&mut value);
    value.to_string()
}

fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(values) => values.iter_mut().for_each(without_nul),
        Value::Object(fields) => fields.values_mut().for_each(without_nul),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_replaced_and_a_text_that_speaks_of_it_is_not() {
        let stored = |text: &str| serde_json::from_str::<String>(&json(&text)).unwrap();
        assert_eq!(stored("a\0b"), "a\u{fffd}b");
        for spoken in ["\\u0000", "\\\\u0000", "no \\u0000 in jsonb"] {
            assert_eq!(stored(spoken), spoken);
        }
    }
}
