//! Reads just enough of the exposition format to add up series and to read histograms.

/// A scrape: its series, in order.
#[derive(Debug)]
pub struct Scrape {
    series: Vec<(String, f64)>,
}

impl Scrape {
    /// Parses a scrape. Lines that are no series are left out.
    pub fn parse(text: &str) -> Self {
        let series = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let end = line
                    .rfind('}')
                    .map_or_else(|| line.find(' '), |brace| Some(brace + 1))?;
                let value = line[end..].split_whitespace().next()?.parse().ok()?;
                Some((line[..end].to_owned(), value))
            });
        Self {
            series: series.collect(),
        }
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// How many series have `part` in their labels.
    pub fn count(&self, part: &str) -> usize {
        self.series
            .iter()
            .filter(|(series, _)| series.contains(part))
            .count()
    }

    /// The sum of a family over the series that have `part` in their labels; "" takes all. NaN where there is none, so
    /// that a misspelt name is seen.
    pub fn sum(&self, name: &str, part: &str) -> f64 {
        let values = self
            .of(name)
            .filter(|(labels, _)| labels.contains(part))
            .map(|(_, value)| value);
        values.reduce(|sum, value| sum + value).unwrap_or(f64::NAN)
    }

    /// The cumulative buckets of a histogram without labels: upper bound and count.
    pub fn buckets(&self, name: &str) -> Vec<(f64, f64)> {
        let bucket = |(labels, count): (&str, f64)| {
            let bound = labels.split("le=\"").nth(1)?.split('"').next()?;
            Some((bound.parse().ok()?, count))
        };
        self.of(&format!("{name}_bucket")).filter_map(bucket).collect()
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.series.iter().filter_map(move |(series, value)| {
            let labels = series.strip_prefix(name)?;
            (labels.is_empty() || labels.starts_with('{')).then_some((labels, *value))
        })
    }
}
