//! The table: what was measured, the peers' figures, ours, the budget, and whether it is met.

use std::fmt::Write;

/// One measured quantity.
#[derive(Debug)]
pub struct Line {
    what: String,
    unit: &'static str,
    peers: Vec<String>,
    ours: f64,
    at_most: Option<f64>,
}

impl Line {
    /// Our figure for `what`, in `unit`.
    pub fn new(what: impl Into<String>, ours: f64, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            unit,
            peers: Vec::new(),
            ours,
            at_most: None,
        }
    }

    /// Adds a peer's figure, in the same unit.
    #[must_use]
    pub fn beside(mut self, peer: &str, figure: f64) -> Self {
        self.peers.push(format!("{peer} {}", number(figure)));
        self
    }

    /// Sets the most that it may be. A line without it is for information.
    #[must_use]
    pub fn at_most(mut self, budget: f64) -> Self {
        self.at_most = Some(budget);
        self
    }

    /// Whether the budget is met; true where there is none.
    pub fn is_met(&self) -> bool {
        // Not `ours > budget`: a figure that is not a number meets nothing.
        self.at_most.is_none_or(|budget| self.ours <= budget)
    }

    fn verdict(&self) -> String {
        match self.at_most {
            None => "-".to_owned(),
            Some(_) if self.is_met() => "met".to_owned(),
            Some(budget) => format!("missed by {} {}", number((self.ours - budget).abs()), self.unit),
        }
    }

    fn cells(&self) -> [String; 6] {
        let budget = self.at_most.map_or_else(|| "-".to_owned(), number);
        let peers = if self.peers.is_empty() {
            "-".to_owned()
        } else {
            self.peers.join(", ")
        };
        [
            self.what.clone(),
            self.unit.to_owned(),
            peers,
            number(self.ours),
            budget,
            self.verdict(),
        ]
    }
}

/// Three significant digits are more than these figures carry.
fn number(figure: f64) -> String {
    match figure.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        size if size >= 1.0 => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}

/// The lines as a Markdown table with aligned columns.
pub fn table(lines: &[Line]) -> String {
    const HEAD: [&str; 6] = ["what", "unit", "peers", "ours", "budget", ""];
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(lines.iter().map(Line::cells));
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a String can't fail.
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if index == 0 {
            text.extend(widths.map(|width| format!("|{}", "-".repeat(width + 2))));
            text.push_str("|\n");
        }
    }
    text
}

/// The value below which `share` of `values` lie, the nearest one; NaN of none.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// The median.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}
