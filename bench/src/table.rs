//! The table: rows of figures, as text that is also Markdown, and as JSON.
//!
//! Owns how figures are written; does not know where they come from.

use serde_json::{Value, json};

/// A row: one figure or more of one kind, for the function and, if it has them, for the floor.
pub struct Row {
    what: String,
    unit: &'static str,
    chat: Vec<f64>,
    floor: Vec<f64>,
}

/// All rows, in their order.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// A row for the function only.
    pub fn row(&mut self, what: impl Into<String>, unit: &'static str, chat: &[f64]) {
        self.versus(what, unit, chat, &[]);
    }

    /// A row for both.
    pub fn versus(
        &mut self,
        what: impl Into<String>,
        unit: &'static str,
        chat: &[f64],
        floor: &[f64],
    ) {
        self.0.push(Row {
            what: what.into(),
            unit,
            chat: chat.into(),
            floor: floor.into(),
        });
    }

    /// Aligned columns.
    pub fn text(&self) -> String {
        let head = ["", "unit", "function", "floor", "ratio"].map(String::from);
        let mut lines = vec![head];
        lines.extend(self.0.iter().map(|row| {
            [
                row.what.clone(),
                row.unit.to_owned(),
                join(&row.chat),
                join(&row.floor),
                join(&row.ratios()),
            ]
        }));
        let mut widths = [3; 5];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = String::new();
        for (number, line) in lines.iter().enumerate() {
            let cells = line.iter().zip(widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| match column {
                0 | 1 => format!(" {cell:<width$} |"),
                _ => format!(" {cell:>width$} |"),
            });
            text.push('|');
            text.extend(cells);
            text.push('\n');
            if number == 0 {
                let rules = widths.iter().enumerate().map(|(column, width)| {
                    let end = if column < 2 { '-' } else { ':' };
                    format!("{}{end}|", "-".repeat(width + 1))
                });
                text.push('|');
                text.extend(rules);
                text.push('\n');
            }
        }
        text
    }

    /// The same as data.
    pub fn json(&self) -> Value {
        let rows = self.0.iter().map(|row| {
            json!({
                "what": row.what,
                "unit": row.unit,
                "function": row.chat,
                "floor": row.floor,
                "ratio": row.ratios(),
            })
        });
        Value::Array(rows.collect())
    }
}

impl Row {
    fn ratios(&self) -> Vec<f64> {
        let pairs = self.chat.iter().zip(&self.floor);
        pairs.map(|(chat, floor)| chat / floor).collect()
    }
}

fn join(figures: &[f64]) -> String {
    let texts = figures.iter().map(|figure| match figure.abs() {
        _ if figure.fract() == 0.0 => format!("{figure:.0}"),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    });
    texts.collect::<Vec<_>>().join(" / ")
}
