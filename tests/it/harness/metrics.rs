//! Prometheus' text format, as far as the tests read it.

use std::collections::{BTreeMap, BTreeSet};

/// One scrape.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// Every sample: family name without the prefix, labels, value.
    pub samples: Vec<Sample>,
    /// As received.
    pub text: String,
}

/// One sample.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its name without `portcullis_`.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Scrape {
    /// Reads a scrape; a line that breaks the format fails the test.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples =
            lines.map(|line| sample(line).unwrap_or_else(|| panic!("not a sample: {line:?}"))).collect();
        Self { samples, text: text.to_owned() }
    }

    /// The sum of the samples of this name (without `portcullis_`) that have all of these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            let has =
                |(label, value): &(&str, &str)| sample.labels.get(*label).is_some_and(|had| had == value);
            sample.name == name && labels.iter().all(has)
        };
        self.samples.iter().filter(fits).map(|sample| sample.value).sum()
    }

    /// Whether there is any sample of this name.
    pub fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|sample| sample.name == name)
    }

    /// Every value that a label takes on samples of this name.
    pub fn values(&self, name: &str, label: &str) -> BTreeSet<&str> {
        let samples = self.samples.iter().filter(|sample| sample.name == name);
        samples.filter_map(|sample| sample.labels.get(label).map(String::as_str)).collect()
    }

    /// The label names of samples of this name.
    pub fn labels(&self, name: &str) -> BTreeSet<&str> {
        let samples = self.samples.iter().filter(|sample| sample.name == name);
        samples.flat_map(|sample| sample.labels.keys().map(String::as_str)).collect()
    }
}

/// `name{label="value",…} number`.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let name = line[..end].strip_prefix("portcullis_").unwrap_or(&line[..end]).to_owned();
    let mut labels = BTreeMap::new();
    let mut rest = &line[end..];
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, length) = quoted(after)?;
            labels.insert(label.trim_start_matches(',').to_owned(), value);
            rest = &after[length..];
        }
        rest = &rest[1..];
    }
    let value = match rest.split_whitespace().next()? {
        "+Inf" => f64::INFINITY,
        number => number.parse().ok()?,
    };
    Some(Sample { name, labels, value })
}

/// A label value up to its closing quote, and the octets it took with it.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (escaped, c) {
            (true, 'n') => value.push('\n'),
            (true, _) => value.push(c),
            (false, '\\') => {}
            (false, '"') => return Some((value, at + 1)),
            (false, _) => value.push(c),
        }
        escaped = !escaped && c == '\\';
    }
    None
}
