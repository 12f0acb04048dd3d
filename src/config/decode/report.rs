//! Collects every problem of one file, and keeps secrets out of what is shown of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::Context;
use crate::config::decode::secret::SUSPICIOUS;
use crate::config::defaults::PROBLEMS;
use crate::config::problems::{Position, Problem, Problems};
use crate::config::raw::{Document, Node, Span};

/// Everything found so far. Shared by every reader of one file.
pub(crate) struct Report<'c> {
    /// What the file is read with.
    pub(crate) context: &'c Context<'c>,
    problems: RefCell<Vec<Problem>>,
    more: Cell<usize>,
    warnings: RefCell<Vec<Problem>>,
    hidden: RefCell<Vec<Span>>,
    readable: Cell<bool>,
}

impl<'c> Report<'c> {
    /// Begins with what the text is as YAML.
    pub(crate) fn new(context: &'c Context<'c>, document: &mut Document) -> Self {
        let report = Self {
            context,
            problems: RefCell::default(),
            more: Cell::new(0),
            warnings: RefCell::default(),
            hidden: RefCell::new(std::mem::take(&mut document.dropped)),
            readable: Cell::new(document.root.is_some()),
        };
        document.problems.drain(..).for_each(|problem| report.problem(problem));
        report
    }

    /// Takes a problem.
    pub(crate) fn problem(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < PROBLEMS {
            problems.push(problem);
        } else {
            self.more.set(self.more.get() + 1);
        }
    }

    /// Whether nothing was wrong so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// Takes a warning.
    pub(crate) fn warning(&self, warning: Problem) {
        self.warnings.borrow_mut().push(warning);
    }

    /// Keeps every scalar of this node out of the snippets.
    pub(crate) fn hide(&self, node: &Node) {
        node.scalar_spans(&mut self.hidden.borrow_mut());
    }

    /// Keeps these octets out of the snippets.
    pub(crate) fn hide_span(&self, span: Span) {
        self.hidden.borrow_mut().push(span);
    }

    /// Ends the reading: what was read, if nothing was wrong with it.
    pub(crate) fn finish<T>(self, text: &str, read: Option<T>) -> Result<(T, Vec<Problem>), Problems> {
        let mut list = self.problems.into_inner();
        if let (Some(read), true) = (read, list.is_empty()) {
            let mut warnings = self.warnings.into_inner();
            sort(&mut warnings);
            return Ok((read, warnings));
        }
        if list.is_empty() {
            // Every reader that yields nothing has said why.
            list.push(Problem::new(Position { line: 1, column: 1 }, "the file cannot be read"));
        }
        sort(&mut list);
        if self.more.get() > 0 {
            let last = list.last().map_or_else(Position::default, |problem| problem.at);
            list.push(Problem::new(last, format!("and {} more problems", self.more.get())));
        }
        let shown = shown_lines(text, &list, &self.hidden.into_inner(), self.readable.get());
        Err(Problems { file: self.context.name.to_owned(), text: shown, list })
    }
}

/// By place; what an alias led to twice is said once.
fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.what.cmp(&b.what)));
    problems.dedup();
}

/// The lines that a problem points at, without what is hidden; every other line is empty.
fn shown_lines(text: &str, list: &[Problem], hidden: &[Span], readable: bool) -> Arc<str> {
    let wanted: BTreeSet<usize> = list.iter().map(|problem| problem.at.line as usize).collect();
    let last = wanted.last().copied().unwrap_or(0);
    let mut hidden = hidden.to_vec();
    hidden.sort_by_key(|span| span.start);
    let mut shown = String::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').take(last).enumerate() {
        let end = start + line.len();
        if wanted.contains(&(index + 1)) {
            let masked = mask(line.trim_end_matches(['\r', '\n']), start, &hidden);
            shown.push_str(&if readable { masked } else { mask_suspicious(&masked) });
        }
        shown.push('\n');
        start = end;
    }
    shown.into()
}

/// Replaces the characters of a line that stand in a hidden span. `spans` are sorted by where they start.
fn mask(line: &str, start: usize, spans: &[Span]) -> String {
    let end = start + line.len();
    let before = spans.partition_point(|span| span.start < end);
    let touching: Vec<&Span> = spans[..before].iter().filter(|span| span.end > start).collect();
    if touching.is_empty() {
        return line.to_owned();
    }
    let mask = |(offset, c): (usize, char)| {
        let covered = touching.iter().any(|span| (span.start..span.end).contains(&(start + offset)));
        if covered && !c.is_whitespace() { '*' } else { c }
    };
    line.char_indices().map(mask).collect()
}

/// Masks what looks like a secret in a line of a text that is no YAML, where nobody knows what is a value:
/// everything after a key whose name suggests one, and every long run of the characters that keys are
/// written in.
fn mask_suspicious(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let from = SUSPICIOUS
        .iter()
        .chain(["default"].iter())
        .filter_map(|word| lower.find(word))
        .filter_map(|at| lower[at..].find(':').map(|colon| at + colon + 1))
        .min()
        .unwrap_or(line.len());
    let bytes = line.as_bytes();
    let in_run = |index: usize| {
        let is_key = |b: &u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(b);
        let left = bytes[..index].iter().rev().take_while(|b| is_key(b)).take(KEY_RUN).count();
        let right = bytes[index..].iter().take_while(|b| is_key(b)).take(KEY_RUN).count();
        right > 0 && left + right >= KEY_RUN
    };
    line.char_indices()
        .map(|(index, c)| if !c.is_whitespace() && (index >= from || in_run(index)) { '*' } else { c })
        .collect()
}

/// A run of so many characters of base64 is taken for a key.
const KEY_RUN: usize = 20;
