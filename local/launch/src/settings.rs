//! What can be seen to be wrong with the settings by `.env.example` alone, which names each of them.
//!
//! The functions check them in full, but only once they are built.

use std::collections::BTreeMap;

use crate::variables::Variables;

const EXAMPLE: &str = include_str!("../../../.env.example");

/// Values that are no numbers and should be, a line each, without the value. The functions say so, too.
#[must_use]
pub fn no_numbers(variables: &Variables) -> Vec<String> {
    let examples = examples();
    let problems = examples.iter().filter_map(|(name, example)| {
        example.parse::<f64>().ok()?;
        let value = variables.get(name)?;
        let wrong = value.trim().parse::<f64>().is_err();
        wrong.then(|| {
            format!(
                "{} must be a number, such as {example}",
                variables.place(name)
            )
        })
    });
    problems.collect()
}

/// Variables of `.env` that nothing reads and that look like a slip, a line each. Nobody else says so.
#[must_use]
pub fn slips(variables: &Variables) -> Vec<String> {
    let examples = examples();
    let slips = variables.of_file().filter_map(|name| {
        if examples.contains_key(name) {
            return None;
        }
        let near = examples.keys().find(|known| are_near(name, known))?;
        let place = variables.place(name);
        Some(format!("{place} is no setting: is {near} meant?"))
    });
    slips.collect()
}

/// The variables of the example, commented out or not, with their values there.
fn examples() -> BTreeMap<&'static str, &'static str> {
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let lines = EXAMPLE.lines();
    let pairs = lines.filter_map(|line| line.strip_prefix('#').unwrap_or(line).split_once('='));
    pairs
        .filter(|(name, _)| !name.is_empty() && name.chars().all(is_name))
        .collect()
}

/// Whether one may be a slip of the other: the same words but one, or all but two of the letters.
fn are_near(name: &str, known: &str) -> bool {
    let words = |text: &str| text.split('_').map(str::to_owned).collect::<Vec<_>>();
    let (ours, theirs) = (words(name), words(known));
    let shared = ours.iter().filter(|word| theirs.contains(word)).count();
    let most = ours.len().max(theirs.len());
    (most > 2 && shared + 1 >= most) || distance(name, known) <= 2
}

/// Letters to insert, leave out or change (Levenshtein's distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_none_is_told_without_its_value() {
        let mut variables = Variables::default();
        variables.set("DATABASE_POOL_SIZE", "hunter2");
        variables.set("DAILY_BUDGET_USD", "2.50");
        variables.set("BOOK_TITLE", "My book");
        assert_eq!(
            no_numbers(&variables),
            ["DATABASE_POOL_SIZE must be a number, such as 4"]
        );
    }

    #[test]
    fn a_slip_is_near_and_another_variable_is_not() {
        for (name, known) in [
            ("OPENAI_KEY", "OPENAI_API_KEY"),
            ("OPEN_AI_API_KEY", "OPENAI_API_KEY"),
            ("DATABASE_ULR", "DATABASE_URL"),
            ("CORS_ORIGIN", "CORS_ORIGINS"),
        ] {
            assert!(are_near(name, known), "{name}");
        }
        for name in ["NO_PROXY", "VERCEL_URL", "RUST_LOG", "PIP_INDEX_URL"] {
            let near = examples().into_keys().find(|known| are_near(name, known));
            assert_eq!(near, None, "{name}");
        }
    }
}
