//! Cuts a section into pieces of about 350 tokens.
//!
//! Whole blocks go together while they fit. A block that is too large on its own is cut: code at
//! the ends of lines, text at the ends of sentences, else at spaces, else anywhere.

use super::blocks::{Block, Kind};

/// The size of a piece. The search was measured with it.
const MOST: usize = 350 * WEIGHT;

/// A token, in the unit in which characters are weighed.
const WEIGHT: usize = 4;

/// About how many tokens a text has, without a tokenizer: four ASCII characters are one, two
/// other Latin, Greek or Cyrillic letters, four letters in three tokens of the other alphabets
/// (Arabic, Urdu, Hindi), and each character of Chinese, Japanese and Korean, each emoji.
#[must_use]
pub fn tokens(text: &str) -> usize {
    weight(text).div_ceil(WEIGHT)
}

fn weight(text: &str) -> usize {
    text.chars().map(weight_of).sum()
}

fn weight_of(c: char) -> usize {
    match c {
        '\0'..='\u{7F}' => 1,
        '\u{80}'..='\u{58F}' => 2,
        '\u{590}'..='\u{2E7F}' => 3,
        _ => WEIGHT,
    }
}

/// The texts of the pieces.
pub(super) fn split(blocks: &[Block]) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut room = 0;
    let mut last = None;
    for block in blocks {
        for (nth, part) in parts(block).into_iter().enumerate() {
            let close = last == Some(&block.kind) && matches!(block.kind, Kind::Item | Kind::Row)
                || block.kind == Kind::Definition
                || nth > 0 && !matches!(block.kind, Kind::Code(_));
            let join = if close { "\n" } else { "\n\n" };
            last = Some(&block.kind);
            let needed = join.len() + weight(&part);
            match pieces.last_mut() {
                Some(piece) if needed <= room => {
                    piece.push_str(join);
                    piece.push_str(&part);
                    room -= needed;
                }
                _ => {
                    room = MOST.saturating_sub(weight(&part));
                    pieces.push(part);
                }
            }
        }
    }
    pieces
}

/// A block as it is written, in as many parts as necessary.
fn parts(block: &Block) -> Vec<String> {
    let Kind::Code(language) = &block.kind else {
        return cut(&block.text, MOST, &[sentence_end, space])
            .into_iter()
            .map(str::to_owned)
            .collect();
    };
    let fence = fence(&block.text);
    let most = MOST.saturating_sub(2 * fence.len() + language.len() + 2);
    cut(&block.text, most, &[line_end])
        .into_iter()
        .map(|code| format!("{fence}{language}\n{code}\n{fence}"))
        .collect()
}

/// Longer than any run of backticks in the code.
fn fence(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// Cuts a text into pieces that weigh at most `most`, each as long as possible, at the first of
/// these kinds of place that it has.
fn cut<'t>(text: &'t str, most: usize, places: &[fn(&str) -> Option<usize>]) -> Vec<&'t str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(end) = overflow(rest, most) {
        // One more character shows whether the text can be cut right here.
        let next = rest[end..].chars().next().map_or(0, char::len_utf8);
        let at = places
            .iter()
            .find_map(|place| place(&rest[..end + next]))
            .map_or(end, |at| at.min(end));
        let piece = rest[..at].trim_end();
        if !piece.trim().is_empty() {
            pieces.push(piece);
        }
        rest = &rest[at..];
        rest = rest.strip_prefix('\n').unwrap_or(rest);
        if places.len() > 1 {
            rest = rest.trim_start();
        }
    }
    if !rest.trim().is_empty() {
        pieces.push(rest.trim_end());
    }
    pieces
}

/// Where a text becomes too heavy, if it does.
fn overflow(text: &str, most: usize) -> Option<usize> {
    let mut sum = 0;
    text.char_indices().find_map(|(at, c)| {
        sum += weight_of(c);
        (sum > most && at > 0).then_some(at)
    })
}

fn line_end(text: &str) -> Option<usize> {
    text.rfind('\n').filter(|at| *at > 0)
}

fn space(text: &str) -> Option<usize> {
    text.trim_start()
        .rfind(char::is_whitespace)
        .map(|at| at + text.len() - text.trim_start().len())
}

/// After the last sentence that ends in the text. In Chinese, no space follows it.
fn sentence_end(text: &str) -> Option<usize> {
    let mut after = text.chars().next_back()?;
    for (at, c) in text.char_indices().rev().skip(1) {
        let ends = match c {
            '。' | '！' | '？' | '\n' => true,
            '.' | '!' | '?' | '۔' | '؟' | '।' => after.is_whitespace(),
            _ => false,
        };
        if ends && at > 0 {
            return Some(at + c.len_utf8());
        }
        after = c;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prose(text: &str) -> Block {
        Block {
            text: text.into(),
            kind: Kind::Prose,
        }
    }

    fn code(text: &str) -> Block {
        Block {
            text: text.into(),
            kind: Kind::Code("rust".into()),
        }
    }

    #[test]
    fn blocks_go_together_while_they_fit() {
        let pieces = split(&[prose("a"), code("x"), prose(&"b ".repeat(800)), prose("c")]);
        assert_eq!(pieces[0], "a\n\n```rust\nx\n```");
        assert!(pieces.iter().all(|piece| tokens(piece) <= 350));
        assert!(
            pieces.last().unwrap().ends_with("b\n\nc"),
            "the last goes with the rest"
        );
    }

    #[test]
    fn a_long_text_is_cut_after_a_sentence_in_every_script() {
        for sentence in [
            "One sentence of a few words. ",
            "یہ ایک جملہ ہے۔ ",
            "这是一个句子。",
            "Ja? ",
        ] {
            let text = sentence.repeat(500);
            let pieces = split(&[prose(&text)]);
            assert!(pieces.len() > 1);
            for piece in &pieces {
                assert!(tokens(piece) <= 350, "{}", tokens(piece));
                assert!(piece.ends_with(sentence.trim_end()), "{piece}");
            }
            let whole: String = pieces.concat().split_whitespace().collect();
            assert_eq!(
                whole,
                text.split_whitespace().collect::<String>(),
                "nothing is lost"
            );
        }
    }

    #[test]
    fn a_text_without_an_end_is_cut_all_the_same() {
        for text in [
            "x".repeat(10_000),
            "word ".repeat(2_000),
            "字".repeat(2_000),
            "a\n".repeat(3_000),
        ] {
            for block in [prose(&text), code(&text)] {
                let pieces = split(&[block]);
                assert!(
                    pieces
                        .iter()
                        .all(|piece| tokens(piece) <= 350 && !piece.is_empty())
                );
            }
        }
    }

    #[test]
    fn code_is_cut_at_lines_and_every_piece_has_its_fences() {
        let lines: Vec<String> = (0..300)
            .map(|n| format!("    let x{n} = \"```\";"))
            .collect();
        let pieces = split(&[code(&lines.join("\n"))]);
        let mut seen = Vec::new();
        for piece in &pieces {
            assert!(tokens(piece) <= 350);
            let inner = piece
                .strip_prefix("````rust\n")
                .unwrap()
                .strip_suffix("\n````")
                .unwrap();
            seen.extend(inner.lines().map(str::to_owned));
        }
        assert_eq!(seen, lines);
    }

    #[test]
    fn code_that_fits_is_never_cut() {
        let whole = "x = 1\n".repeat(150);
        let pieces = split(&[prose(&"before ".repeat(100)), code(whole.trim_end())]);
        assert_eq!(pieces.len(), 2);
        assert!(pieces[1].contains(whole.trim_end()));
    }
}
