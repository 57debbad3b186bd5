//! Chooses the sentences that best match a question.

use std::collections::{BTreeMap, BTreeSet};

use super::text::stems;

/// Most sentences in an answer.
pub(super) const MOST: usize = 3;
/// A sentence worth less than this part of the best one is left out.
const WORTH: f64 = 0.4;
/// At least this part of the question's words must occur: one word shared by chance is no answer.
const COVERAGE: f64 = 0.34;
/// What each text counts for beside the one before it: they come the likeliest first.
const NEXT: f64 = 0.95;
/// What a sentence counts for that stands in another text than the best one: an answer keeps to one
/// where it can.
const ELSEWHERE: f64 = 0.5;

/// A text in sentences, and the heading above it.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) heading: String,
    pub(super) sentences: Vec<String>,
}

/// A sentence that was chosen, and the place of its text among the others.
#[derive(Debug, PartialEq)]
pub(super) struct Chosen {
    pub(super) place: usize,
    pub(super) sentence: String,
}

/// A sentence with the words that it shares with the question.
struct Candidate<'t> {
    place: usize,
    sentence: &'t str,
    shared: BTreeSet<String>,
}

/// The sentences that share the rarest words with the question: those of the best text first, each
/// text in its order.
pub(super) fn best(question: &BTreeSet<String>, texts: &[Text]) -> Vec<Chosen> {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let candidates = candidates(question, texts);
    let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
    for word in candidates.iter().flat_map(|each| &each.shared) {
        *holders.entry(word).or_default() += 1;
    }
    let rarity = |word: &&String| {
        let holders = number(holders[word.as_str()]);
        (1.0 + number(candidates.len()) / holders).ln()
    };

    let mut home = (0, 0.0, 0);
    let mut likely = 1.0;
    for place in 0..texts.len() {
        let here = candidates.iter().filter(|each| each.place == place);
        let words: BTreeSet<&String> = here.flat_map(|each| &each.shared).collect();
        let score = likely * words.iter().map(rarity).sum::<f64>();
        if score > home.1 {
            home = (place, score, words.len());
        }
        likely *= NEXT;
    }
    let (home, _, covered) = home;
    if covered == 0 || number(covered) < COVERAGE * number(question.len()) {
        return Vec::new();
    }

    let score = |each: &Candidate| {
        let score: f64 = each.shared.iter().map(|word| rarity(&word)).sum();
        if each.place == home {
            score
        } else if 2 * each.shared.len() >= question.len() {
            ELSEWHERE * score
        } else {
            0.0
        }
    };
    let mut order: Vec<(usize, f64)> = candidates.iter().map(score).enumerate().collect();
    // Stable: of equals, the earlier sentence.
    order.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let least = WORTH * order[0].1;
    order.retain(|(_, score)| *score >= least);
    let mut chosen: Vec<usize> = order.into_iter().take(MOST).map(|(i, _)| i).collect();
    chosen.sort_unstable_by_key(|i| (candidates[*i].place != home, *i));
    let chosen = chosen.into_iter().map(|i| Chosen {
        place: candidates[i].place,
        sentence: candidates[i].sentence.to_owned(),
    });
    chosen.collect()
}

/// All sentences, each once. The first of a text speaks of what the heading above it names.
fn candidates<'t>(question: &BTreeSet<String>, texts: &'t [Text]) -> Vec<Candidate<'t>> {
    let mut seen = BTreeSet::new();
    let mut candidates = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        let mut above = stems(&text.heading);
        for sentence in &text.sentences {
            let mut words = stems(sentence);
            words.append(&mut above);
            if seen.insert(sentence) {
                candidates.push(Candidate {
                    place,
                    sentence,
                    shared: words.intersection(question).cloned().collect(),
                });
            }
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(question: &str, texts: &[(&str, &[&str])]) -> Vec<(usize, String)> {
        let text = |(heading, sentences): &(&str, &[&str])| Text {
            heading: (*heading).to_owned(),
            sentences: sentences.iter().map(|each| (*each).to_owned()).collect(),
        };
        let texts: Vec<Text> = texts.iter().map(text).collect();
        let chosen = best(&stems(question), &texts).into_iter();
        chosen.map(|each| (each.place, each.sentence)).collect()
    }

    #[test]
    fn an_answer_stays_in_the_best_text_unless_another_says_as_much() {
        let drift: &[&str] = &["An IMU drifts.", "Its gyroscope makes it drift."];
        let filter: &[&str] = &["A Kalman filter weighs.", "It needs a gyroscope."];
        let texts = [("", drift), ("", filter)];
        assert_eq!(
            chosen("Why does the gyroscope of an IMU drift?", &texts),
            [
                (0, "An IMU drifts.".to_owned()),
                (0, "Its gyroscope makes it drift.".to_owned())
            ]
        );
        assert_eq!(
            chosen("How do Kalman filter and IMU work?", &texts),
            [(1, "A Kalman filter weighs.".to_owned())]
        );
        assert_eq!(
            chosen("Is a Kalman filter like an IMU drifting?", &texts),
            [
                (1, "A Kalman filter weighs.".to_owned()),
                (0, "An IMU drifts.".to_owned())
            ]
        );
    }

    #[test]
    fn a_heading_speaks_for_the_sentence_below_it() {
        let texts: [(&str, &[&str]); 2] = [
            ("A robot", &["It can step."]),
            (
                "Where to step when pushed",
                &["The capture point is there.", "Go."],
            ),
        ];
        assert_eq!(
            chosen("Where do I step after a push?", &texts),
            [(1, "The capture point is there.".to_owned())]
        );
    }

    #[test]
    fn words_that_lie_scattered_over_the_texts_are_no_answer() {
        let texts: [(&str, &[&str]); 3] =
            [("", &["Two won."]), ("", &["A match."]), ("", &["Foot."])];
        assert!(chosen("Who won the football match in Lisbon?", &texts).is_empty());
        assert!(chosen("", &texts).is_empty());
        assert!(chosen("Who won?", &[]).is_empty());
    }
}
