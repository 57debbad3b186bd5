//! What the offline model says of itself, once in a conversation, and an answer without it.

use super::wire::Message;

/// The first line of an answer: nobody should take this for a language model.
pub(super) const NOTICE: &str =
    "*Offline model: no `OPENAI_API_KEY` is set, so this answer is made of sentences found here.*";

/// How an answer begins that the book does not hold; the backend takes it away.
pub(super) const NONE: &str = "[none] ";

pub(super) const ADVICE: &str =
    "Set `OPENAI_API_KEY` and start again to have a language model answer.";

/// What an earlier answer found: its own words about itself, or about finding nothing, left out.
pub(super) fn without_notice(answer: &str) -> &str {
    if answer.ends_with(ADVICE) {
        return "";
    }
    after_notice(answer).map_or(answer, str::trim_start)
}

fn after_notice(answer: &str) -> Option<&str> {
    // Where the mark of NONE was taken away, its space may have stayed.
    answer.trim_start().strip_prefix(NOTICE)
}

/// The answer without the notice where an earlier one among the messages has it.
pub(super) fn once(answer: String, messages: &[Message]) -> String {
    let said = messages
        .iter()
        .any(|message| message.role == "assistant" && after_notice(&message.text()).is_some());
    if said {
        answer.replacen(&format!("{NOTICE}\n\n"), "", 1)
    } else {
        answer
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        assert_eq!(
            without_notice(&format!("The book does not say. {ADVICE}")),
            ""
        );
    }

    #[test]
    fn a_conversation_is_told_once() -> serde_json::Result<()> {
        let messages = |earlier: &str| {
            let messages = json!([
                { "role": "user", "content": NOTICE },
                { "role": "assistant", "content": earlier },
                { "role": "user", "content": "And then?" },
            ]);
            serde_json::from_value::<Vec<Message>>(messages)
        };
        let answer = format!("{NONE}{NOTICE}\n\nIt walks.");
        let told = messages(&format!(" {NOTICE}\n\nIt stands."))?;
        assert_eq!(once(answer.clone(), &told), format!("{NONE}It walks."));
        assert_eq!(once(answer.clone(), &messages("It stands.")?), answer);
        Ok(())
    }
}
