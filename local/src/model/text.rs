//! Sentences and words, well enough to choose sentences by shared words.

use std::collections::BTreeSet;

/// A longer sentence is cut: a text without full stops must not be returned whole.
const LONGEST: usize = 500;

/// Words that say nothing about the subject, or that speak about the text itself.
const STOP_WORDS: &str = "a about after again all also am an and any anything are as ask asked at be because been \
    before being between book both but by can chapter could describe detail details did difference do does doing don \
    each elaborate example examples explain few for from further give had happen happens has have having he her here \
    him his how i if in into is it its just let like ll long me mean means more most much must my no not now of off \
    on only or other our out over own page paragraph passage please re s said same say says section see selected she \
    should show simpler simply so some somebody someone something such summarise summarize summary t tell text than \
    that the their them then there these they thing this those through to too under until up us ve very was we were \
    what when where which while who whom why will with would you your";

/// Words that point back to what was said before.
const POINTING: &str = "again another elaborate example examples further it its less more shorter simpler simply \
    that their them these they this those";

/// Whether a question is about something that was said before it.
pub(super) fn points_back(question: &str) -> bool {
    words(question).any(|word| is_one_of(POINTING, &word)) || stems(question).is_empty()
}

/// A text of the book without what is no sentence: its headings and its code.
pub(super) fn prose(text: &str) -> String {
    let mut fence = None;
    let mut kept = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        let ticks = trimmed.len() - trimmed.trim_start_matches('`').len();
        match fence {
            None if ticks >= 3 => fence = Some(ticks),
            None if !trimmed.trim_start_matches('#').starts_with(' ') => kept.push(line),
            // A shorter run of backticks is code.
            Some(open) if ticks >= open && ticks == trimmed.len() => fence = None,
            _ => {}
        }
    }
    kept.join("\n")
}

pub(super) fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut sentence = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        sentence.push(character);
        let next = characters.peek().copied();
        let ends = match character {
            '。' | '！' | '？' | '।' | '۔' | '؟' => true,
            '.' | '!' | '?' => {
                next.is_none_or(char::is_whitespace) && !continues(&mut characters.clone())
            }
            '\n' => !continues(&mut characters.clone()),
            _ => false,
        };
        if ends || next.is_none() {
            sentences.extend(tidy(&sentence));
            sentence.clear();
        }
    }
    sentences
}

/// Whether a lower-case letter follows, as after "e.g." and in lines broken to a width.
fn continues(rest: &mut impl Iterator<Item = char>) -> bool {
    rest.find(|character| !matches!(character, ' ' | '\t'))
        .is_some_and(char::is_lowercase)
}

/// A sentence without line breaks, list and heading marks; `None` if no word is left.
fn tidy(sentence: &str) -> Option<String> {
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let sentence = words.join(" ");
    let sentence = sentence.trim_start_matches(['#', '-', '*', '•', '>', ' ']);
    if !sentence.contains(char::is_alphanumeric) {
        return None;
    }
    Some(match sentence.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &sentence[..end]),
        None => sentence.to_owned(),
    })
}

/// The stems of the words that carry meaning, each once.
pub(super) fn stems(text: &str) -> BTreeSet<String> {
    words(text)
        .filter(|word| !is_one_of(STOP_WORDS, word))
        .map(|word| stem(&word))
        .collect()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

fn is_one_of(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|listed| listed == word)
}

/// `robots` → `robot`, `balancing` → `balanc` ← `balance`, `planned` → `plan`.
fn stem(word: &str) -> String {
    const SHORTEST: usize = 3;
    let cut = |suffix: &str| {
        word.strip_suffix(suffix)
            .filter(|rest| rest.chars().count() >= SHORTEST)
    };
    let mut stem = if let Some(rest) = cut("ies") {
        format!("{rest}y")
    } else if let Some(rest) = cut("ing").or_else(|| cut("ed")) {
        let last = rest.chars().last();
        let doubled = last
            .filter(|letter| !"lsz".contains(*letter))
            .is_some_and(|letter| {
                letter.is_alphabetic() && rest.chars().rev().nth(1) == Some(letter)
            });
        if doubled {
            rest.chars().take(rest.chars().count() - 1).collect()
        } else {
            rest.to_owned()
        }
    } else if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        word.to_owned()
    } else {
        cut("s").unwrap_or(word).to_owned()
    };
    if stem.ends_with('e') && stem.chars().count() > SHORTEST {
        stem.pop();
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_at_full_stops_and_at_lines_that_do_not_go_on() {
        let text = "## Gait\nA robot, e.g. a biped, walks\non two legs. It costs 3.5 kJ! Why?\n- Balance\n- Reach\n\n...\n";
        let expected = [
            "Gait",
            "A robot, e.g. a biped, walks on two legs.",
            "It costs 3.5 kJ!",
            "Why?",
            "Balance",
            "Reach",
        ];
        assert_eq!(sentences(text), expected);
    }

    #[test]
    fn a_text_without_full_stops_is_cut() {
        let sentences = sentences(&"word ".repeat(1000));
        assert_eq!(sentences.len(), 1);
        assert!(sentences[0].ends_with('…') && sentences[0].chars().count() == LONGEST + 1);
    }

    #[test]
    fn headings_and_code_are_no_prose() {
        let text = "## Gait\nIt walks.\n\n````python\n# no comment\n```\nwalk()\n````\n\nIt runs.";
        assert_eq!(sentences(&prose(text)), ["It walks.", "It runs."]);
        assert_eq!(prose("It walks.\n```\nwalk()"), "It walks.");
    }

    #[test]
    fn a_question_points_back_by_its_words_or_by_having_none_of_its_own() {
        for question in ["Explain that more simply", "Why?", "An example, please"] {
            assert!(points_back(question), "{question}");
        }
        assert!(!points_back("What is the capital of France?"));
    }

    #[test]
    fn forms_of_a_word_share_a_stem() {
        let one = |word: &str| stems(word).into_iter().next().unwrap_or_default();
        for (a, b) in [
            ("robots", "Robot"),
            ("balancing", "balance"),
            ("planned", "plan"),
            ("bodies", "body"),
            ("falls", "falling"),
        ] {
            assert_eq!(one(a), one(b), "{a}, {b}");
        }
        assert!(stems("What is the meaning of this?").iter().eq(["mean"]));
    }
}
