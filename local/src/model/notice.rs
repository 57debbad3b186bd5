//! What the offline model says of itself, in every answer, and an answer without it.

/// The first line of every answer: nobody should take this for a language model.
pub(super) const NOTICE: &str =
    "*Offline model: no `OPENAI_API_KEY` is set, so this answer is made of sentences found here.*";

/// How an answer begins that the book does not hold; the backend takes it away.
pub(super) const NONE: &str = "[none] ";

pub(super) const ADVICE: &str =
    "Set `OPENAI_API_KEY` and start again to have a language model answer.";

/// What an earlier answer found: its own words about itself, or about finding nothing, left out.
pub(super) fn without_notice(answer: &str) -> &str {
    // Where the mark of NONE was taken away, its space may have stayed.
    match answer.trim_start().strip_prefix(NOTICE) {
        Some(found) if found.ends_with(ADVICE) => "",
        Some(found) => found.trim_start(),
        None => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_answer_counts_without_what_it_says_about_itself() {
        assert_eq!(
            without_notice(&format!("{NOTICE}\n\nIt walks.")),
            "It walks."
        );
        assert_eq!(
            without_notice(&format!(
                "{NOTICE}\n\nNothing said so far answers that. {ADVICE}"
            )),
            ""
        );
        assert_eq!(
            without_notice(&format!(" {NOTICE}\n\nThe book does not say. {ADVICE}")),
            ""
        );
        assert_eq!(without_notice("It walks."), "It walks.");
    }
}
