//! What a text in brackets is: a mark of the model's, the beginning of one, or just text.

/// The most sources that a range such as `[2-4]` cites.
const LONGEST_RANGE: usize = 10;

/// What a text in brackets is.
#[derive(Debug, PartialEq)]
pub(super) enum Bracket {
    /// It is not complete, and may become a mark.
    Unknown,
    /// A mark with these numbers, none of them 0.
    Numbers(Vec<usize>),
    /// The mark that the sources do not hold the answer.
    None,
    /// No mark.
    Text,
}

impl Bracket {
    /// What this text is, which begins with a bracket and may not be complete.
    pub(super) fn of(held: &str) -> Self {
        let (rest, close) = if let Some(rest) = held.strip_prefix("[[") {
            (rest, "]]")
        } else if let Some(rest) = held.strip_prefix('[') {
            (rest, "]")
        } else {
            (held.strip_prefix('【').unwrap_or(held), "】")
        };
        let none = format!("none{close}");
        let rest_in_small = rest.to_lowercase();
        if none.starts_with(&rest_in_small) {
            return if rest_in_small == none {
                Self::None
            } else {
                Self::Unknown
            };
        }
        let (body, is_closed) = match rest.strip_suffix(close) {
            Some(body) => (body, true),
            // Half of "]]".
            None => (rest.strip_suffix(']').unwrap_or(rest), false),
        };
        if body.len() < rest.len() && !is_closed && close != "]]" {
            return Self::Text;
        }
        // Some models say what they have seen there: it ends with the mark.
        let (numbers, comment) = body.split_once('†').unwrap_or((body, ""));
        let is_text = |c: char| !c.is_ascii_digit() && !matches!(c, ' ' | ',' | ';' | '-' | '–');
        if numbers.contains(is_text) || comment.contains('\n') {
            return Self::Text;
        }
        let numbers = read_numbers(numbers);
        match (numbers, is_closed) {
            (Ok(numbers), true) if !numbers.is_empty() => Self::Numbers(numbers),
            (_, true) | (Err(_), false) => Self::Text,
            (Ok(_), false) => Self::Unknown,
        }
    }
}

/// A text that cannot become a mark.
struct NoMark;

/// The numbers of a mark, as far as it is written.
fn read_numbers(text: &str) -> Result<Vec<usize>, NoMark> {
    let mut numbers = Vec::new();
    for part in text.split([',', ';']) {
        let mut ends = part.split(['-', '–']).map(str::trim);
        let first = number(ends.next().unwrap_or_default())?;
        let last = number(ends.next().unwrap_or_default())?;
        match (first, last) {
            _ if ends.next().is_some() => return Err(NoMark),
            (Some(first), Some(last)) if first <= last && last - first < LONGEST_RANGE => {
                numbers.extend(first..=last);
            }
            (_, Some(_)) => return Err(NoMark),
            (Some(first), None) => numbers.push(first),
            // Not written yet; in a complete mark it says nothing.
            (None, None) => {}
        }
    }
    Ok(numbers)
}

/// A number of one to three digits from 1 on, or nothing yet.
fn number(text: &str) -> Result<Option<usize>, NoMark> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(number @ 1..1000) => Ok(Some(number)),
        _ => Err(NoMark),
    }
}
