//! The settings by their outside: what is read, what is told about what is wrong, and that the
//! documents name the same variables and defaults as the code. Never the process's environment.

use std::collections::BTreeSet;

use super::{Problems, Settings};

const MANDATORY: [(&str, &str); 3] = [
    ("OPENAI_API_KEY", "sk-1"),
    ("DATABASE_URL", "postgresql://me@127.0.0.1/db"),
    ("CORS_ORIGINS", "https://book.example"),
];

/// Variables that are documented beside the settings and are none.
const OTHERS: [&str; 6] = [
    "DATABASE_URL_UNPOOLED",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "MIGRATE_PREVIEWS",
    "RETENTION_DAYS",
    "TEXTBOOK_CHAT_CACHE",
];

/// Settings without a default: where a document has a value, it is an example.
const WITHOUT_DEFAULT: [&str; 8] = [
    "BOOK_DROP",
    "BOOK_EXCLUDE",
    "BOOK_INCLUDE",
    "BOOK_SELECT",
    "BOOK_URL",
    "CLIENT_IP_HEADER",
    "CRON_SECRET",
    "PROXY_SECRET",
];

const EXAMPLE: &str = include_str!("../../.env.example");
const SETTINGS_MD: &str = include_str!("../../docs/settings.md");

fn read(variables: &[(&str, &str)]) -> Result<Settings, Problems> {
    let variables = variables.iter().map(|&(k, v)| (k.into(), v.into()));
    Settings::from_variables(variables)
}

/// The settings with the mandatory variables and these.
fn with(variables: &[(&str, &str)]) -> Result<Settings, Problems> {
    read(&[&MANDATORY, variables].concat())
}

fn is_variable(text: &str) -> bool {
    text.len() > 7 && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

/// What the code asks for: the variables among its string literals.
fn read_by_the_code() -> BTreeSet<&'static str> {
    [
        include_str!("book.rs"),
        include_str!("environment.rs"),
        include_str!("limits.rs"),
    ]
    .into_iter()
    .flat_map(|code| code.split('"').skip(1).step_by(2))
    .filter(|text| is_variable(text) && !OTHERS.contains(text))
    .collect()
}

/// The lines of `.env.example`, commented out or not.
fn example() -> Vec<(&'static str, &'static str)> {
    EXAMPLE
        .lines()
        .filter_map(|line| line.strip_prefix('#').unwrap_or(line).split_once('='))
        .filter(|(name, _)| is_variable(name))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect()
}

/// The rows of the tables in `docs/settings.md`: each variable, and its default where it has one. A
/// row may be about several, with commas.
fn tables() -> Vec<(&'static str, &'static str)> {
    let rows = SETTINGS_MD.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix('|')?.split('|').collect();
        let (names, defaults) = match cells[..] {
            [names, _, defaults, ""] => (names, defaults),
            _ => (*cells.first()?, ""),
        };
        let items = |cell: &'static str| {
            let items = cell.split(',').map(str::trim);
            items.map(|item| item.trim_matches('`'))
        };
        Some(items(names).zip(items(defaults).chain(std::iter::repeat(""))))
    });
    rows.flatten()
        .filter(|(name, _)| is_variable(name))
        .collect()
}

#[test]
fn the_documents_name_the_variables_that_are_read_and_no_others() {
    let read = read_by_the_code();
    for sample in ["LLM_TIMEOUT_MS", "RATE_LIMIT_NETWORK_BURST", "BOOK_URL"] {
        assert!(read.contains(sample), "{sample} is not found in the code");
    }
    for (document, lines) in [(".env.example", example()), ("settings.md", tables())] {
        let mut names: BTreeSet<_> = lines.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), lines.len(), "{document} names one twice");
        names.retain(|name| !OTHERS.contains(name));
        assert_eq!(names, read, "{document}");
    }
}

#[test]
fn the_documents_state_the_defaults_of_the_code() {
    let defaults = format!("{:?}", with(&[]).unwrap());
    for (document, mut lines) in [(".env.example", example()), ("settings.md", tables())] {
        lines.retain(|(name, _)| {
            let mandatory = MANDATORY.iter().any(|(mandatory, _)| name == mandatory);
            !mandatory && !OTHERS.contains(name) && !WITHOUT_DEFAULT.contains(name)
        });
        for (name, value) in &lines {
            assert!(!value.is_empty(), "{name} has no default in {document}");
        }
        let documented = format!("{:?}", with(&lines).unwrap());
        assert_eq!(documented, defaults, "{document}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_by_variable_and_without_a_value() {
    let problems = read(&[
        ("OPENAI_API_KEY", "sk-sécret"),
        ("DATABASE_URL", "mysql://hunter2"),
        ("MAX_MESSAGE_CHARS", "hunter2"),
        ("MODERATION", "hunter2"),
        ("PROXY_SECRET", "hunter2"),
        ("DATABASE_POOL_SIZE", "0"),
    ])
    .unwrap_err();
    let variables: Vec<_> = problems.problems.iter().map(|it| it.variable).collect();
    assert_eq!(
        variables,
        [
            "OPENAI_API_KEY",
            "DATABASE_URL",
            "CORS_ORIGINS",
            "MAX_MESSAGE_CHARS",
            "CLIENT_IP_HEADER",
            "MODERATION",
            "DATABASE_POOL_SIZE",
        ]
    );
    assert!(!problems.to_string().contains("hunter2"), "{problems}");
}

#[test]
fn each_kind_of_value_says_what_would_be_right() {
    let long = usize::MAX.to_string();
    for (variable, value, message) in [
        ("HISTORY_MESSAGES", "0", "must be a whole number above 0"),
        (
            "MAX_TURNS_IN_FLIGHT",
            "-1",
            "must be a whole number, or 0 for no limit",
        ),
        (
            "DAILY_BUDGET_USD",
            "NaN",
            "must be an amount in US dollars such as 4.50, or 0",
        ),
        ("MODERATION", "on", "must be off or input"),
        (
            "OPENAI_BASE_URL",
            "ftp://it",
            "must be a URL such as https://api.openai.com/v1",
        ),
        (
            "CLIENT_IP_HEADER",
            "x-ip",
            "PROXY_SECRET is missing: without it CLIENT_IP_HEADER could be forged",
        ),
        (
            "MAX_PROMPT_CHARS",
            "27999",
            "must hold the longest message and passage, and 4,000 characters more",
        ),
    ] {
        let told = with(&[(variable, value)]).unwrap_err().to_string();
        let told = told
            .strip_prefix(variable)
            .map_or(&*told, str::trim_ascii_start);
        assert_eq!(told, message);
    }
    // However long a question may be, there is a prompt that holds it.
    let settings = with(&[("MAX_MESSAGE_CHARS", &long)]).unwrap();
    assert_eq!(settings.max_prompt_chars, usize::MAX);
}

#[test]
fn an_empty_value_counts_as_absent() {
    let settings = with(&[
        ("MAX_MESSAGE_CHARS", " "),
        ("OPENAI_REASONING_EFFORT", "omit"),
    ])
    .unwrap();
    assert_eq!(settings.question_limits.message, 4_000);
    assert_eq!(settings.model.reasoning_effort, None);
}

#[test]
fn the_name_in_capitals_counts_wherever_it_stands() {
    let (small, capitals) = (("history_messages", "1"), ("HISTORY_MESSAGES", "2"));
    for variables in [[small, capitals], [capitals, small]] {
        assert_eq!(with(&variables).unwrap().history_messages, 2);
    }
    assert_eq!(with(&[small]).unwrap().history_messages, 1);
}
