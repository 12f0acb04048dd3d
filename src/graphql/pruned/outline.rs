//! Which parts of a document hang together: its definitions, what is at their roots, what they use.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::graphql::pruned::is;
use crate::graphql::pruned::tokens::{Token, TokenKind};

/// A document's definitions.
#[derive(Debug)]
pub(in crate::graphql) struct Outline<'d> {
    pub(in crate::graphql) definitions: Vec<Definition<'d>>,
    /// The operations' places among the definitions, in order.
    pub(in crate::graphql) operations: Vec<usize>,
    fragments: HashMap<&'d str, usize>,
}

/// An operation or a fragment.
#[derive(Debug, Default)]
pub(in crate::graphql) struct Definition<'d> {
    /// Where it stands, without its description.
    pub(in crate::graphql) octets: Range<usize>,
    /// The tokens of an operation's variable definitions, their parentheses the first and the last.
    pub(in crate::graphql) declarations: Option<Range<usize>>,
    /// The fields at its root that are left out.
    pub(in crate::graphql) removed: Vec<Range<usize>>,
    /// Where selection sets end of which nothing would be left.
    pub(in crate::graphql) emptied: Vec<usize>,
    /// Fragments that are spread at its root, and below, by what is not left out.
    pub(in crate::graphql) spreads_at_root: Vec<&'d str>,
    pub(in crate::graphql) spreads_below: Vec<&'d str>,
    /// Variables that are used by what is not left out.
    pub(in crate::graphql) uses: Vec<&'d str>,
}

/// A document being read.
struct Reader<'t, 'd> {
    document: &'d str,
    tokens: &'t [Token],
    at: usize,
    left_out: &'t HashSet<usize>,
}

/// A selection set that is being read.
#[derive(Default)]
struct Open {
    /// Something in it stays.
    stays: bool,
    /// Something in it does not.
    cut: bool,
}

impl<'d> Outline<'d> {
    /// Reads a document's outline, with the fields at its roots that begin at these octets left out. None where it is no
    /// document.
    pub(in crate::graphql) fn read(
        document: &'d str,
        tokens: &[Token],
        left_out: &HashSet<usize>,
    ) -> Option<Self> {
        let mut reader = Reader { document, tokens, at: 0, left_out };
        let mut outline = Self { definitions: Vec::new(), operations: Vec::new(), fragments: HashMap::new() };
        while let Some(token) = tokens.get(reader.at) {
            if token.kind == TokenKind::Text {
                reader.at += 1;
                continue;
            }
            let place = outline.definitions.len();
            if reader.name() == Some("fragment") {
                let name = reader.tokens.get(reader.at + 1).and_then(|token| reader.text(token))?;
                outline.fragments.insert(name, place);
            } else {
                outline.operations.push(place);
            }
            outline.definitions.push(reader.definition()?);
        }
        Some(outline)
    }

    /// The place of the fragment of this name.
    pub(in crate::graphql) fn fragment(&self, name: &str) -> Option<usize> {
        self.fragments.get(name).copied()
    }
}

impl<'d> Reader<'_, 'd> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn is(&self, punctuator: u8) -> bool {
        is(self.peek(), punctuator)
    }

    fn text(&self, token: &Token) -> Option<&'d str> {
        self.document.get(token.octets.clone())
    }

    /// The name that stands here.
    fn name(&self) -> Option<&'d str> {
        self.peek().filter(|token| token.kind == TokenKind::Name).and_then(|token| self.text(token))
    }

    /// Where the last token ends that was read.
    fn behind(&self) -> Option<usize> {
        Some(self.tokens.get(self.at.checked_sub(1)?)?.octets.end)
    }

    /// Passes over a bracket and all up to its counterpart.
    fn pass_brackets(&mut self) -> Option<()> {
        let mut open = 0_usize;
        loop {
            match self.peek()?.kind {
                TokenKind::Punctuator(b'(' | b'[' | b'{') => open += 1,
                TokenKind::Punctuator(b')' | b']' | b'}') => open = open.checked_sub(1)?,
                TokenKind::Punctuator(_) | TokenKind::Name | TokenKind::Number | TokenKind::Text => {}
            }
            self.at += 1;
            if open == 0 {
                return Some(());
            }
        }
    }

    fn pass_directives(&mut self) -> Option<()> {
        while self.is(b'@') {
            self.at += 2;
            if self.is(b'(') {
                self.pass_brackets()?;
            }
        }
        Some(())
    }

    fn definition(&mut self) -> Option<Definition<'d>> {
        let mut definition = Definition::default();
        let start = self.peek()?.octets.start;
        let is_fragment = self.name() == Some("fragment");
        let mut noted = self.at;
        while !self.is(b'{') {
            match self.is(b'(') {
                // An operation's variable definitions stand before all directives.
                true if !is_fragment
                    && definition.declarations.is_none()
                    && !self.is_behind_directive(noted) =>
                {
                    let from = self.at;
                    self.pass_brackets()?;
                    definition.declarations = Some(from..self.at);
                    noted = self.at;
                }
                true => self.pass_brackets()?,
                false => self.at += 1,
            }
            self.peek()?;
        }
        self.note(&mut definition, noted..self.at, false)?;
        self.selections(&mut definition)?;
        definition.octets = start..self.behind()?;
        Some(definition)
    }

    /// Whether a directive stands between this token and the next one to read.
    fn is_behind_directive(&self, from: usize) -> bool {
        (from..self.at).any(|place| is(self.tokens.get(place), b'@'))
    }

    /// Reads the selection set at the root, and those of inline fragments in it.
    fn selections(&mut self, definition: &mut Definition<'d>) -> Option<()> {
        let mut open = vec![Open::default()];
        self.at += 1;
        while let Some(set) = open.last_mut() {
            let token = self.tokens.get(self.at)?;
            match token.kind {
                TokenKind::Punctuator(b'}') => {
                    if set.cut && !set.stays {
                        definition.emptied.push(token.octets.start);
                    }
                    open.pop();
                    self.at += 1;
                }
                TokenKind::Punctuator(b'.') => {
                    set.stays = true;
                    let from = self.at;
                    self.at += 1;
                    let name = self.name();
                    match name {
                        Some("on") => self.at += 2,
                        Some(name) => {
                            self.at += 1;
                            definition.spreads_at_root.push(name);
                        }
                        None => {}
                    }
                    self.pass_directives()?;
                    self.note(definition, from..self.at, true)?;
                    if !matches!(name, Some(name) if name != "on") {
                        self.is(b'{').then_some(())?;
                        self.at += 1;
                        open.push(Open::default());
                    }
                }
                TokenKind::Name => {
                    let (from, start) = (self.at, token.octets.start);
                    self.field()?;
                    if self.left_out.contains(&start) {
                        set.cut = true;
                        definition.removed.push(start..self.behind()?);
                    } else {
                        set.stays = true;
                        self.note(definition, from..self.at, false)?;
                    }
                }
                TokenKind::Punctuator(_) | TokenKind::Number | TokenKind::Text => return None,
            }
        }
        Some(())
    }

    /// Passes over a field with all that belongs to it.
    fn field(&mut self) -> Option<()> {
        self.at += 1;
        if self.is(b':') {
            self.at += 2;
        }
        if self.is(b'(') {
            self.pass_brackets()?;
        }
        self.pass_directives()?;
        if self.is(b'{') {
            self.pass_brackets()?;
        }
        Some(())
    }

    /// Notes what these tokens use: variables, and fragments, but for one that is spread at the root.
    fn note(&self, definition: &mut Definition<'d>, places: Range<usize>, at_root: bool) -> Option<()> {
        let tokens = self.tokens.get(places)?;
        for pair in tokens.windows(2) {
            let [mark, name] = pair else { continue };
            if name.kind != TokenKind::Name {
                continue;
            }
            let name = self.text(name)?;
            match mark.kind {
                TokenKind::Punctuator(b'$') => definition.uses.push(name),
                TokenKind::Punctuator(b'.') if !at_root && name != "on" => {
                    definition.spreads_below.push(name)
                }
                TokenKind::Punctuator(_) | TokenKind::Name | TokenKind::Number | TokenKind::Text => {}
            }
        }
        Some(())
    }
}

/// The variables that these tokens define, parentheses the first and the last of them: their names, and where each
/// definition stands.
pub(in crate::graphql) fn declarations<'d>(
    document: &'d str,
    tokens: &[Token],
) -> Option<Vec<(&'d str, Range<usize>)>> {
    let nothing = HashSet::new();
    let mut reader = Reader { document, tokens, at: 1, left_out: &nothing };
    let mut declared = Vec::new();
    while !reader.is(b')') {
        let start = reader.peek()?.octets.start;
        if reader.peek()?.kind == TokenKind::Text {
            reader.at += 1;
        }
        reader.is(b'$').then_some(())?;
        reader.at += 1;
        let name = reader.name()?;
        reader.at += 1;
        reader.is(b':').then_some(())?;
        reader.at += 1;
        reader.type_reference()?;
        if reader.is(b'=') {
            reader.at += 1;
            match reader.peek()?.kind {
                TokenKind::Punctuator(b'[' | b'{') => reader.pass_brackets()?,
                TokenKind::Punctuator(_) | TokenKind::Name | TokenKind::Number | TokenKind::Text => {
                    reader.at += 1
                }
            }
        }
        reader.pass_directives()?;
        declared.push((name, start..reader.behind()?));
    }
    Some(declared)
}

impl Reader<'_, '_> {
    fn type_reference(&mut self) -> Option<()> {
        if self.is(b'[') {
            self.pass_brackets()?
        } else {
            self.at += 1
        }
        if self.is(b'!') {
            self.at += 1;
        }
        Some(())
    }
}
