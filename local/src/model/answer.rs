//! Chooses the sentences that best match a question, and says plainly what kind of answer that is.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    notice::{ADVICE, NOTICE},
    prompt::{Asked, Source},
    text::{sentences, stems},
};

/// Most sentences in an answer.
const MOST: usize = 3;
/// A sentence worth less than this part of the best one is left out.
const WORTH: f64 = 0.4;
/// At least this part of the question's words must occur: one word shared by chance is no answer.
const COVERAGE: f64 = 0.34;

pub(super) fn answer(asked: &Asked) -> String {
    let found = match &asked.source {
        Source::Passage(passage) => {
            let all = sentences(passage);
            // A question without a subject ("What does this mean?") is about the passage as a whole.
            if stems(&asked.question).is_empty() {
                all.into_iter().take(MOST).collect()
            } else {
                best(&asked.question, all)
            }
        }
        Source::Conversation(messages) => {
            let said = messages.iter().flat_map(|message| sentences(message));
            best(
                &asked.question,
                said.filter(|sentence| !is_question(sentence)).collect(),
            )
        }
    };
    let body = match (&found[..], &asked.source) {
        ([], Source::Passage(_)) => format!("The passage does not hold the answer. {ADVICE}"),
        ([], Source::Conversation(_)) => format!("Nothing said so far answers that. {ADVICE}"),
        (found, _) => found.join(" "),
    };
    format!("{NOTICE}\n\n{body}")
}

fn is_question(sentence: &str) -> bool {
    sentence.ends_with(['?', '？', '؟'])
}

/// The sentences that share the rarest words with the question, in the order of the text.
fn best(question: &str, sentences: Vec<String>) -> Vec<String> {
    let question = stems(question);
    let mut seen = BTreeSet::new();
    let sentences: Vec<(String, BTreeSet<String>)> = sentences
        .into_iter()
        .filter(|sentence| seen.insert(sentence.clone()))
        .map(|sentence| {
            let shared = stems(&sentence).intersection(&question).cloned().collect();
            (sentence, shared)
        })
        .collect();

    let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
    for word in sentences.iter().flat_map(|(_, shared)| shared) {
        *holders.entry(word).or_default() += 1;
    }
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    if holders.is_empty() || number(holders.len()) < COVERAGE * number(question.len()) {
        return Vec::new();
    }

    let rarity =
        |word: &String| (1.0 + number(sentences.len()) / number(holders[word.as_str()])).ln();
    let score = |shared: &BTreeSet<String>| shared.iter().map(rarity).sum::<f64>();
    let scores: Vec<f64> = sentences.iter().map(|(_, shared)| score(shared)).collect();
    let mut order: Vec<usize> = (0..sentences.len()).collect();
    // Stable: of equals, the earlier sentence.
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let least = WORTH * scores[order[0]];
    let mut chosen: Vec<usize> = order
        .into_iter()
        .take(MOST)
        .filter(|i| scores[*i] >= least)
        .collect();
    chosen.sort_unstable();
    chosen.into_iter().map(|i| sentences[i].0.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSAGE: &str = "A humanoid robot has a body shaped like a human's. Its legs carry sensors for force. \
        Balance is kept by moving the centre of mass over the feet. Batteries last two hours. \
        A robot that loses its balance steps forward.";

    fn about_passage(question: &str) -> String {
        ask(question, Source::Passage(PASSAGE.to_owned()))
    }

    fn ask(question: &str, source: Source) -> String {
        let answer = answer(&Asked {
            question: question.to_owned(),
            source,
        });
        answer
            .strip_prefix(NOTICE)
            .unwrap_or("no notice")
            .trim()
            .to_owned()
    }

    #[test]
    fn the_answer_is_the_sentence_that_shares_the_rarest_words() {
        assert_eq!(
            about_passage("How long do the batteries last?"),
            "Batteries last two hours."
        );
        assert_eq!(
            about_passage("How does the robot balance?"),
            "A humanoid robot has a body shaped like a human's. Balance is kept by moving the centre of mass over \
             the feet. A robot that loses its balance steps forward."
        );
    }

    #[test]
    fn a_question_about_the_passage_as_a_whole_gets_its_beginning() {
        assert!(about_passage("What does this mean?").starts_with("A humanoid robot has a body"));
    }

    #[test]
    fn a_passage_without_the_answer_is_said_to_lack_it() {
        let expected = format!("The passage does not hold the answer. {ADVICE}");
        assert_eq!(
            about_passage("Who won the football match in Lisbon?"),
            expected
        );
        assert_eq!(
            about_passage("Which human language did Cicero speak in Rome?"),
            expected
        );
    }

    #[test]
    fn a_conversation_answers_with_statements_and_not_with_its_questions() {
        let said = ["What is my name?", "My name is Ada.", "Hello."]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(
            ask("What is my name?", Source::Conversation(said)),
            "My name is Ada."
        );
        let nothing = ask("What is a robot?", Source::Conversation(Vec::new()));
        assert_eq!(
            nothing,
            format!("Nothing said so far answers that. {ADVICE}")
        );
    }
}
