//! Which of PostgreSQL's text search configurations stems a text's words.
//!
//! By script first, because `<html lang>` is often that of the whole site: an Urdu page of an English
//! book says `en`, and the English stemmer would make nothing of it. Then by `lang`, if that is a
//! language of this script. A stemmer for the wrong language is worse than none (`simple`).
//!
//! Never guesses a language from words, and never asks the database.

/// No stemmer and no stop words: right for every language, if not the best for any.
pub(super) const SIMPLE: &str = "simple";

/// For a Latin text that names no language: most such books are about programming.
const LATIN: &str = "english";

/// Primary subtag, script, configuration: all that PostgreSQL 14 and later have built in.
const STEMMERS: &[(&str, Script, &str)] = &[
    ("ar", Script::Arabic, "arabic"),
    ("ca", Script::Latin, "catalan"),
    ("da", Script::Latin, "danish"),
    ("de", Script::Latin, "german"),
    ("el", Script::Greek, "greek"),
    ("en", Script::Latin, "english"),
    ("es", Script::Latin, "spanish"),
    ("eu", Script::Latin, "basque"),
    ("fi", Script::Latin, "finnish"),
    ("fr", Script::Latin, "french"),
    ("ga", Script::Latin, "irish"),
    ("hi", Script::Devanagari, "hindi"),
    ("hu", Script::Latin, "hungarian"),
    ("hy", Script::Armenian, "armenian"),
    ("id", Script::Latin, "indonesian"),
    ("it", Script::Latin, "italian"),
    ("lt", Script::Latin, "lithuanian"),
    ("nb", Script::Latin, "norwegian"),
    ("ne", Script::Devanagari, "nepali"),
    ("nl", Script::Latin, "dutch"),
    ("nn", Script::Latin, "norwegian"),
    ("no", Script::Latin, "norwegian"),
    ("pt", Script::Latin, "portuguese"),
    ("ro", Script::Latin, "romanian"),
    ("ru", Script::Cyrillic, "russian"),
    ("sr", Script::Cyrillic, "serbian"),
    ("sr", Script::Latin, "serbian"),
    ("sv", Script::Latin, "swedish"),
    ("ta", Script::Tamil, "tamil"),
    ("tr", Script::Latin, "turkish"),
    ("yi", Script::Hebrew, "yiddish"),
];

/// A script that some stemmer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Hebrew,
    Arabic,
    Devanagari,
    Tamil,
}

/// How many scripts there are above.
const SCRIPTS: usize = Script::Tamil as usize + 1;

/// The script of most of a text's letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letters {
    Of(Script),
    /// Of a script without a stemmer, or of many.
    Others,
    None,
}

/// The configuration for a text on a page with this `lang`; `simple` for a script or a language
/// without a stemmer.
///
/// A Latin text without a `lang` is taken for English. A text in another script is stemmed only as
/// its `lang` says: Cyrillic is not always Russian.
#[must_use]
pub fn config(lang: &str, text: &str) -> &'static str {
    let primary = lang.trim().split(['-', '_']).next().unwrap_or_default();
    let stemmer = |script: Option<Script>| {
        let mut stemmers = STEMMERS.iter();
        let found = stemmers.find(|(tag, of, _)| {
            script.is_none_or(|script| script == *of) && primary.eq_ignore_ascii_case(tag)
        });
        found.map(|(.., config)| *config)
    };
    match letters(text) {
        Letters::Of(Script::Arabic) if is_persian_or_urdu(text) => SIMPLE,
        // `elsewhere` is an English page of a Russian site.
        Letters::Of(Script::Latin) => stemmer(Some(Script::Latin)).unwrap_or_else(|| {
            let elsewhere = stemmer(None).is_some();
            if primary.is_empty() || elsewhere {
                LATIN
            } else {
                SIMPLE
            }
        }),
        Letters::Of(script) => stemmer(Some(script)).unwrap_or(SIMPLE),
        Letters::Others => SIMPLE,
        // As on the pages around it: a table of numbers should not bring its own configuration.
        Letters::None => stemmer(None).unwrap_or(SIMPLE),
    }
}

/// Code counts only where there is nothing else: it is Latin in every book.
fn letters(text: &str) -> Letters {
    let mut fenced = false;
    let prose = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    match mostly(prose.flat_map(str::chars)) {
        Letters::None => mostly(text.chars()),
        letters => letters,
    }
}

/// The script that more than half of the letters belong to.
fn mostly(text: impl Iterator<Item = char>) -> Letters {
    let mut counts = [0_usize; SCRIPTS];
    let mut letters = 0_usize;
    let mut most = None;
    for letter in text.filter(|letter| letter.is_alphabetic()) {
        letters += 1;
        if let Some(script) = of(letter) {
            counts[script as usize] += 1;
            if most.is_none_or(|most| counts[script as usize] > counts[most as usize]) {
                most = Some(script);
            }
        }
    }
    match most {
        _ if letters == 0 => Letters::None,
        Some(most) if counts[most as usize] * 2 > letters => Letters::Of(most),
        _ => Letters::Others,
    }
}

fn of(letter: char) -> Option<Script> {
    Some(match letter {
        'A'..='Z' | 'a'..='z' | '\u{aa}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Script::Latin,
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Script::Greek,
        '\u{400}'..='\u{52f}' => Script::Cyrillic,
        '\u{531}'..='\u{587}' => Script::Armenian,
        '\u{5d0}'..='\u{5f2}' => Script::Hebrew,
        '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' => Script::Arabic,
        '\u{900}'..='\u{97f}' => Script::Devanagari,
        '\u{b80}'..='\u{bff}' => Script::Tamil,
        _ => return None,
    })
}

/// Whether it uses letters that Arabic lacks: an Arabic site may have pages in Urdu.
fn is_persian_or_urdu(text: &str) -> bool {
    let foreign = |letter: &char| "پچژگکیٹڈڑںےہھ".contains(*letter);
    let arabic = |letter: &char| of(*letter) == Some(Script::Arabic);
    text.chars().filter(foreign).count() * 20 > text.chars().filter(arabic).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = "A robot keeps its balance.";
    const URDU: &str = "روبوٹ اپنا توازن کیسے برقرار رکھتا ہے؟";

    #[test]
    fn the_script_decides_first_whatever_the_page_says() {
        for lang in ["en", "ur", "ar", "", "de-AT"] {
            assert_eq!(config(lang, URDU), "simple", "{lang}");
            assert_eq!(config(lang, "机器人如何保持平衡?"), "simple", "{lang}");
        }
        assert_eq!(config("fa", "ربات چگونه تعادل خود را حفظ می‌کند؟"), "simple");
        assert_eq!(config("en", "Робот держит равновесие."), "simple");
    }

    #[test]
    fn among_the_languages_of_a_script_the_page_decides() {
        for (lang, text, expected) in [
            ("en-US", ENGLISH, "english"),
            ("DE", "Der Roboter hält das Gleichgewicht.", "german"),
            ("fr_CA", "Le robot garde l’équilibre.", "french"),
            ("es", "El robot mantiene el equilibrio.", "spanish"),
            ("ru", "Робот держит равновесие.", "russian"),
            ("sr", "Робот одржава равнотежу.", "serbian"),
            ("sr-Latn", "Robot održava ravnotežu.", "serbian"),
            ("ar", "كيف يحافظ الروبوت على توازنه؟", "arabic"),
            ("el", "Το ρομπότ κρατά την ισορροπία του.", "greek"),
            ("hi", "रोबोट अपना संतुलन कैसे बनाए रखता है?", "hindi"),
        ] {
            assert_eq!(config(lang, text), expected, "{text}");
        }
    }

    #[test]
    fn a_language_without_a_stemmer_gets_none() {
        assert_eq!(config("pl", "Robot utrzymuje równowagę."), "simple");
        assert_eq!(config("vi", "Robot giữ thăng bằng."), "simple");
        assert_eq!(config("uk", "Робот тримає рівновагу."), "simple");
    }

    #[test]
    fn a_latin_text_without_a_language_of_its_script_is_english() {
        assert_eq!(config("", ENGLISH), "english");
        assert_eq!(config("ru", ENGLISH), "english");
        assert_eq!(config("", "Робот держит равновесие."), "simple");
    }

    #[test]
    fn code_says_nothing_about_the_language_around_it() {
        let text = format!(
            "{URDU}\n\n```python\n{}```\n",
            "print('balance')\n".repeat(50)
        );
        assert_eq!(config("en", &text), "simple");
        assert_eq!(config("en", "```\nlet x = 1;\n```"), "english");
    }

    #[test]
    fn what_has_no_letters_is_like_the_pages_around_it() {
        assert_eq!(config("en", "1 + 1 = 2"), "english");
        assert_eq!(config("ur", "1 + 1 = 2"), "simple");
        assert_eq!(config("", ""), "simple");
    }
}
