//! Embeddings by a rule that anybody can check: each word of a text, in lower case, adds one to the
//! number at its FNV-1a hash modulo 512. Texts that share words are near each other; nothing else is.

use std::collections::HashMap;

use serde_json::{Value, json};

/// How the provider answers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Mode {
    #[default]
    ByWords,
    Fails,
    Silent,
    /// Vectors of another length.
    Short,
    /// One vector too few.
    Few,
}

pub fn vector(text: &str) -> Vec<f32> {
    let mut counts: HashMap<usize, f32> = HashMap::new();
    for word in text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
    {
        let hash = word
            .to_lowercase()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3_u64)
            });
        *counts
            .entry(usize::try_from(hash % 512).unwrap())
            .or_default() += 1.0;
    }
    (0..512)
        .map(|i| counts.get(&i).copied().unwrap_or_default())
        .collect()
}

/// What is answered to a request.
pub fn answer(body: &Value, mode: Mode) -> Value {
    let texts = body["input"].as_array().unwrap();
    let count = if mode == Mode::Few {
        texts.len() - 1
    } else {
        texts.len()
    };
    let data = texts.iter().take(count).enumerate().map(|(index, text)| {
        let mut vector = vector(text.as_str().unwrap());
        if mode == Mode::Short {
            vector.truncate(3);
        }
        json!({ "index": index, "embedding": vector })
    });
    json!({
        "data": data.collect::<Vec<_>>(),
        "usage": { "prompt_tokens": 10 * texts.len(), "total_tokens": 10 * texts.len() },
    })
}
