use super::*;
use crate::citation::Source;

/// A question that was asked so often without a page, and is not covered; each word is its own form.
fn asked(times: usize, text: &str) -> Unanswered {
    let mut question = Unanswered::new(text.into());
    let words = text.split(' ');
    question.words = words.map(|it| (it.to_lowercase(), it.into())).collect();
    for _ in 0..times {
        question.count(not_covered(), None);
    }
    question
}

fn not_covered() -> Why {
    Why {
        not_covered: 1,
        ..Why::default()
    }
}

fn once(texts: &[&str]) -> Vec<Unanswered> {
    texts.iter().map(|text| asked(1, text)).collect()
}

/// The questions of each group.
fn texts(groups: &[Group]) -> Vec<Vec<&str>> {
    let of = groups.iter().map(|group| group.questions.iter());
    of.map(|questions| questions.map(|it| &*it.question).collect())
        .collect()
}

#[test]
fn two_shared_words_or_half_of_its_words_bring_a_question_into_a_group() {
    let groups = group(once(&[
        "battery charge time robot",
        "battery charge cost weight",
        "battery",
        "battery paint",
        "robot paint ladder",
    ]));
    assert_eq!(
        texts(&groups),
        [
            vec![
                "battery",
                "battery charge cost weight",
                "battery charge time robot",
                "battery paint",
            ],
            vec!["robot paint ladder"],
        ]
    );
    assert_eq!(groups[0].words, ["battery"], "few have another one");
    assert!(groups[1].words.is_empty());
}

#[test]
fn a_question_joins_the_group_with_which_it_shares_most() {
    let groups = group(once(&[
        "a1 arm grip force",
        "a2 leg walk force slope",
        "a3 leg walk grip force",
    ]));
    assert_eq!(
        texts(&groups),
        [
            vec!["a2 leg walk force slope", "a3 leg walk grip force"],
            vec!["a1 arm grip force"]
        ]
    );
}

#[test]
fn a_group_does_not_attract_by_what_few_of_its_questions_have() {
    let groups = group(once(&[
        "a battery charge one two",
        "b battery charge three four",
        "c battery charge five six",
        "d five six seven eight",
    ]));
    assert_eq!(groups.len(), 2, "{groups:?}");
    assert_eq!(groups[0].asked, 3);
}

#[test]
fn the_order_in_which_they_come_does_not_matter() {
    let mut questions = vec![
        asked(1, "battery charge"),
        asked(1, "battery cost"),
        asked(3, "gait of legs"),
        asked(2, "legs and gait"),
        asked(1, "charge cost"),
        asked(1, "paint"),
    ];
    let groups = group(std::mem::take(&mut questions));
    assert_eq!(
        texts(&groups),
        [
            vec!["gait of legs", "legs and gait"],
            vec!["battery charge", "battery cost"],
            vec!["charge cost"],
            vec!["paint"],
        ]
    );
    let backwards = vec![
        asked(1, "paint"),
        asked(1, "charge cost"),
        asked(2, "legs and gait"),
        asked(3, "gait of legs"),
        asked(1, "battery cost"),
        asked(1, "battery charge"),
    ];
    assert_eq!(group(backwards), groups);
}

#[test]
fn a_group_is_named_in_the_words_of_its_questions() {
    let mut questions = once(&["one", "two", "three"]);
    for (question, form) in questions
        .iter_mut()
        .zip(["batteries", "Battery", "batteries"])
    {
        question.words = BTreeMap::from([("batteri".into(), form.into())]);
    }
    assert_eq!(group(questions)[0].words, ["batteries"]);
}

#[test]
fn questions_and_pages_beyond_five_are_counted() {
    let mut questions: Vec<Unanswered> =
        (0..8).map(|n| asked(1, &format!("battery {n}"))).collect();
    for (n, question) in questions.iter_mut().enumerate() {
        for page in 0..=n {
            question.count(not_covered(), Some(format!("/{page}")));
        }
    }
    let groups = group(questions);
    assert_eq!(groups.len(), 1);
    let group = &groups[0];
    assert_eq!((group.questions.len(), group.more), (5, 3));
    assert_eq!(
        (group.questions[0].asked, &*group.questions[0].question),
        (9, "battery 7")
    );
    let pages: Vec<_> = group
        .pages
        .iter()
        .map(|it| (it.page.as_deref(), it.asked))
        .collect();
    let expected = [
        (None, 8),
        (Some("/0"), 8),
        (Some("/1"), 7),
        (Some("/2"), 6),
        (Some("/3"), 5),
    ];
    assert_eq!(pages, expected);
    assert_eq!(group.elsewhere, 4 + 3 + 2 + 1);
    assert_eq!(group.asked, 8 + 36);
}

#[test]
fn questions_without_words_stand_alone() {
    let mut questions = once(&["?", "!"]);
    for question in &mut questions {
        question.words.clear();
    }
    assert_eq!(texts(&group(questions)), [vec!["!"], vec!["?"]]);
    assert!(group(Vec::new()).is_empty());
}

#[test]
fn why_a_question_counts_as_not_answered() {
    let source = Source {
        id: 1,
        title: "Walking".into(),
        section: None,
        url: "https://b.example/".into(),
    };
    let answer = |found, uncovered, cites: bool| Citations {
        found,
        uncovered,
        sources: cites.then(|| source.clone()).into_iter().collect(),
        marks: Vec::new(),
    };
    let why = |found, uncovered, cites| Why::of(&answer(found, uncovered, cites));
    let of = |nothing_found, not_covered, nothing_cited| {
        Some(Why {
            nothing_found,
            not_covered,
            nothing_cited,
        })
    };
    assert_eq!(why(3, false, true), None);
    assert_eq!(why(0, true, false), of(1, 0, 0));
    assert_eq!(why(3, true, true), of(0, 1, 0));
    assert_eq!(why(3, false, false), of(0, 0, 1));
}
