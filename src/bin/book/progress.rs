//! An indexing's progress, on stderr: a bar on a terminal, else a line every few seconds.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use textbook_chat::book::index::Progress;

/// The time between two lines, where there is no terminal.
const PAUSE: Duration = Duration::from_secs(5);

/// What is shown while an indexing is running; dropping it clears the terminal.
pub(crate) struct Display {
    bar: Option<ProgressBar>,
    last: Mutex<Instant>,
}

impl Display {
    pub(crate) fn new() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
                .with_style(style("{spinner} {msg}"))
                .with_message("reading the book");
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            bar,
            last: Mutex::new(Instant::now()),
        }
    }

    pub(crate) fn show(&self, progress: Progress) {
        match (&self.bar, progress) {
            (Some(bar), Progress::Read(pages)) => bar.set_message(format!("{pages} pages read")),
            (Some(bar), Progress::Embedded(done, all)) => {
                if bar.length().is_none() {
                    bar.set_length(all);
                    bar.set_style(style("{bar:30} {pos} of {len} texts embedded, {eta} left"));
                }
                bar.set_position(done);
            }
            (None, Progress::Read(pages)) => self.line(&format!("{pages} pages read")),
            (None, Progress::Embedded(done, all)) => {
                self.line(&format!("{done} of {all} texts embedded"));
            }
        }
    }

    fn line(&self, text: &str) {
        let Ok(mut last) = self.last.lock() else {
            return;
        };
        if last.elapsed() >= PAUSE {
            *last = Instant::now();
            crate::remark(text);
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
