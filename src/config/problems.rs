//! What is wrong in an operator's file: where, what, and what to write instead.

use std::fmt;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// A place in a file: line and column from 1, column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[expect(missing_docs, reason = "the names say all")]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// One problem (or warning).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; the file's start if nowhere in particular.
    pub at: Position,
    /// What is wrong, in one sentence without a full stop. Never the value of a secret.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Every problem of one file, sorted by place.
#[derive(Debug, Clone)]
pub struct Problems {
    /// The file's name.
    pub file: String,
    /// The file's text, for the snippets: of each line that a problem points at, with secrets masked; every
    /// other line is empty.
    pub text: Arc<str>,
    /// Not empty.
    pub list: Vec<Problem>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(at: Position, what: impl Into<String>) -> Self {
        Self { at, what: what.into(), hint: None }
    }
    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Why one value is not what was expected, said so that it can follow the value in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Follows the value: "is no duration".
    pub what: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The value holds a secret and must not be repeated or shown.
    pub secret: bool,
}

impl Wrong {
    /// Without a hint.
    pub fn is(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None, secret: false }
    }
    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// The same for a value that must not be shown.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

impl fmt::Display for Problems {
    /// `file:line:column: what`, the snippet with a caret, and the hint, a block each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<&str> = self.text.lines().collect();
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            let Position { line, column } = problem.at;
            write!(f, "{}:{line}:{column}: {}", self.file, problem.what)?;
            let snippet = lines.get((line as usize).saturating_sub(1)).copied().unwrap_or_default();
            if !snippet.trim().is_empty() {
                write_snippet(f, snippet, problem.at)?;
            }
            if let Some(hint) = &problem.hint {
                write!(f, "\n  = hint: {hint}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A word of the file as a message shows it: in backticks, cut where it is long, and with its controls
/// escaped so that a file cannot write to the operator's terminal.
pub fn quoted(word: &str) -> String {
    let mut shown: String = word.chars().take(QUOTED_MAX).flat_map(char::escape_debug).collect();
    if word.chars().nth(QUOTED_MAX).is_some() {
        shown.push('…');
    }
    // `escape_debug` escapes quotes too, which nothing here needs.
    format!("`{}`", shown.replace("\\\"", "\"").replace("\\'", "'"))
}

/// The candidate that `word` was probably meant to be: few edits away for its length.
pub fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > QUOTED_MAX {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (edits(&lower, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn write_snippet(f: &mut fmt::Formatter<'_>, line: &str, at: Position) -> fmt::Result {
    let column = (at.column as usize).saturating_sub(1);
    // A window of a long line, so that one line of flow style does not fill the screen.
    let from = if column > SNIPPET_WIDTH - 20 { column - SNIPPET_WIDTH / 2 } else { 0 };
    let shown: String = line
        .chars()
        .skip(from)
        .take(SNIPPET_WIDTH)
        .map(|c| if c == '\t' || c.is_control() { ' ' } else { c })
        .collect();
    let number = at.line.to_string();
    let gutter = " ".repeat(number.len());
    let caret = " ".repeat(column - from);
    write!(f, "\n{gutter} |\n{number} | {}\n{gutter} | {caret}^", shown.trim_end())
}

/// Damerau's distance with adjacent transpositions: insertions, deletions, replacements and swaps.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// Characters of a word that a message repeats.
const QUOTED_MAX: usize = 80;

/// Characters of a line that a snippet shows.
const SNIPPET_WIDTH: usize = 100;
