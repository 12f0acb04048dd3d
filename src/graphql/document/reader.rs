//! The grammar of executable documents (section 2 of the specification), by loops and stacks.

use smallvec::SmallVec;

use crate::config::defaults::GRAPHQL_OPERATIONS;
use crate::config::graphql::OperationKind;
use crate::graphql::document::fault::Fault;
use crate::graphql::document::lexer::Lexer;
use crate::graphql::document::{Body, Bounds, Document, Fragment, Kind, Operation, Place, Selection};

/// Reads one document.
#[derive(Debug)]
pub(in crate::graphql::document) struct Reader<'d> {
    text: &'d str,
    lexer: Lexer<'d>,
    most_nesting: u64,
    /// The most that was seen.
    nesting: u64,
    selections: Vec<Selection>,
    /// The selections whose braces are open.
    open: SmallVec<[u32; 16]>,
    /// The brackets of a value that are open: an object's, or a list's.
    brackets: SmallVec<[bool; 16]>,
    /// Braces of selections that are open.
    depth: u64,
    /// Those of fields.
    level: u32,
}

/// What a list of directives says.
#[derive(Debug, Clone, Copy, Default)]
struct Directives {
    count: u32,
    /// Times that `@skip` and `@include` are there.
    conditions: u32,
    /// One of them keeps the selection out, whatever the variables.
    keeps_out: bool,
}

impl Directives {
    /// Of two conditions of one name, servers look at the first or the last.
    fn is_absent(self) -> bool {
        self.keeps_out && self.conditions == 1
    }
}

impl<'d> Reader<'d> {
    pub(in crate::graphql::document) fn new(text: &'d str, bounds: &Bounds) -> Result<Self, Fault> {
        Ok(Self {
            text,
            lexer: Lexer::new(text, bounds)?,
            most_nesting: bounds.recursion,
            nesting: 0,
            selections: Vec::with_capacity(text.len().min(ROOM) / OCTETS),
            open: SmallVec::new(),
            brackets: SmallVec::new(),
            depth: 0,
            level: 0,
        })
    }

    /// Reads it all. What is linked to what is not known yet.
    pub(in crate::graphql::document) fn document(mut self) -> Result<Document<'d>, Fault> {
        let (mut operations, mut fragments) = (SmallVec::new(), Vec::new());
        while !self.lexer.is_at_end() {
            self.definition(&mut operations, &mut fragments)?;
        }
        Ok(Document {
            text: self.text,
            operations,
            fragments,
            selections: self.selections,
            order: Vec::new(),
            tokens: self.lexer.tokens(),
            nesting: self.nesting,
        })
    }

    fn definition(
        &mut self,
        operations: &mut SmallVec<[Operation; 1]>,
        fragments: &mut Vec<Fragment>,
    ) -> Result<(), Fault> {
        let mut kind = OperationKind::Query;
        let mut name = Place::default();
        let mut directives = 0;
        if self.lexer.next() != b'{' {
            self.description()?;
            let at = self.lexer.at();
            let keyword = self.lexer.name()?;
            kind = match self.lexer.text(keyword) {
                b"query" => OperationKind::Query,
                b"mutation" => OperationKind::Mutation,
                b"subscription" => OperationKind::Subscription,
                b"fragment" => {
                    fragments.push(self.fragment()?);
                    return Ok(());
                }
                _ => return Err(Fault::syntax(at as usize, "an operation or a fragment is expected")),
            };
            if !matches!(self.lexer.next(), b'(' | b'@' | b'{') {
                name = self.lexer.name()?;
            }
            directives = self.variables()?;
            directives += self.directives(Constant::No)?.count;
        }
        let body = self.body(directives)?;
        if operations.len() >= GRAPHQL_OPERATIONS {
            return Err(Fault::Invalid("the document has too many operations"));
        }
        operations.push(Operation { kind, name, body });
        Ok(())
    }

    /// A fragment, behind its keyword.
    fn fragment(&mut self) -> Result<Fragment, Fault> {
        let at = self.lexer.at() as usize;
        let name = self.lexer.name()?;
        if self.lexer.text(name) == b"on" {
            return Err(Fault::syntax(at, "no fragment is called `on`"));
        }
        let at = self.lexer.at() as usize;
        let keyword = self.lexer.name()?;
        if self.lexer.text(keyword) != b"on" {
            return Err(Fault::syntax(at, "`on` is expected"));
        }
        let on = self.lexer.name()?;
        let directives = self.directives(Constant::No)?.count;
        Ok(Fragment { name, on, body: self.body(directives)? })
    }

    /// A string before a definition, if there is one.
    fn description(&mut self) -> Result<(), Fault> {
        if self.lexer.next() == b'"' { self.lexer.string() } else { Ok(()) }
    }

    /// Definitions of variables, if there are any, and how many directives they have.
    fn variables(&mut self) -> Result<u32, Fault> {
        let mut directives = 0;
        if !self.lexer.take_if(b'(')? {
            return Ok(directives);
        }
        loop {
            self.description()?;
            if self.lexer.next() != b'$' {
                return Err(self.lexer.fault("a variable is expected"));
            }
            self.lexer.variable()?;
            self.lexer.expect(b':', "`:` is expected")?;
            self.of_type()?;
            if self.lexer.take_if(b'=')? {
                self.value(Constant::Yes)?;
            }
            directives += self.directives(Constant::Yes)?.count;
            if self.lexer.take_if(b')')? {
                return Ok(directives);
            }
        }
    }

    /// A type: names within lists, each of which may be followed by `!`.
    fn of_type(&mut self) -> Result<(), Fault> {
        let mut lists = 0;
        while self.lexer.take_if(b'[')? {
            lists += 1;
            self.nested(lists)?;
        }
        self.lexer.name()?;
        self.lexer.take_if(b'!')?;
        for _ in 0..lists {
            self.lexer.expect(b']', "`]` is expected")?;
            self.lexer.take_if(b'!')?;
        }
        Ok(())
    }

    fn directives(&mut self, constant: Constant) -> Result<Directives, Fault> {
        let mut directives = Directives::default();
        while self.lexer.take_if(b'@')? {
            let name = self.lexer.name()?;
            let condition = self.arguments(constant)?;
            directives.count += 1;
            match self.lexer.text(name) {
                b"skip" => {
                    directives.conditions += 1;
                    directives.keeps_out |= condition == Some(true);
                }
                b"include" => {
                    directives.conditions += 1;
                    directives.keeps_out |= condition == Some(false);
                }
                _ => {}
            }
        }
        Ok(directives)
    }

    /// Arguments, if there are any; what is said where they are `if` alone, literally true or false.
    fn arguments(&mut self, constant: Constant) -> Result<Option<bool>, Fault> {
        let mut condition = None;
        if !self.lexer.take_if(b'(')? {
            return Ok(condition);
        }
        let mut count = 0_u32;
        loop {
            let name = self.lexer.name()?;
            self.lexer.expect(b':', "`:` is expected")?;
            let value = self.value(constant)?;
            count = count.saturating_add(1);
            condition = match self.lexer.text(value) {
                b"true" => Some(true),
                b"false" => Some(false),
                _ => None,
            };
            condition = condition.filter(|_| count == 1 && self.lexer.text(name) == b"if");
            if self.lexer.take_if(b')')? {
                return Ok(condition);
            }
        }
    }

    /// A value. Its name, if it is one.
    fn value(&mut self, constant: Constant) -> Result<Place, Fault> {
        let mut name = Place::default();
        self.brackets.clear();
        loop {
            match self.lexer.next() {
                b'$' if constant == Constant::No => self.lexer.variable()?,
                b'"' => self.lexer.string()?,
                b'-' | b'0'..=b'9' => self.lexer.number()?,
                bracket @ (b'[' | b'{') => {
                    self.lexer.take()?;
                    self.brackets.push(bracket == b'{');
                    self.nested(self.brackets.len() as u64)?;
                }
                b'_' | b'a'..=b'z' | b'A'..=b'Z' => name = self.lexer.name()?,
                _ => return Err(self.lexer.fault("a value is expected")),
            }
            let is_alone = self.brackets.is_empty();
            if !self.goes_on()? {
                return Ok(if is_alone { name } else { Place::default() });
            }
        }
    }

    /// Closes what ends here, and goes up to the next value within what does not.
    fn goes_on(&mut self) -> Result<bool, Fault> {
        while let Some(is_object) = self.brackets.last().copied() {
            if self.lexer.take_if(if is_object { b'}' } else { b']' })? {
                self.brackets.pop();
                continue;
            }
            if is_object {
                self.lexer.name()?;
                self.lexer.expect(b':', "`:` is expected")?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// What a definition selects: from its `{` to the `}` that belongs to it.
    fn body(&mut self, directives: u32) -> Result<Body, Fault> {
        let start = self.selections.len() as u32;
        self.lexer.expect(b'{', "`{` is expected")?;
        (self.depth, self.level) = (1, 0);
        self.open.clear();
        self.nested(0)?;
        loop {
            match self.lexer.next() {
                b'.' => self.fragment_in_place()?,
                b'}' => {
                    let has_none = self.open.last().map_or(start, |opener| opener + 1);
                    if self.selections.len() as u32 == has_none {
                        return Err(self.lexer.fault("a selection is expected"));
                    }
                    self.lexer.take()?;
                    self.depth -= 1;
                    let Some(opener) = self.open.pop() else {
                        return Ok(Body { start, end: self.selections.len() as u32, directives });
                    };
                    self.close(opener);
                }
                _ => self.field()?,
            }
        }
    }

    /// Notes where a selection ends whose `}` was taken.
    fn close(&mut self, opener: u32) {
        let (next, end) = (self.selections.len() as u32, self.lexer.end());
        if let Some(selection) = self.selections.get_mut(opener as usize) {
            selection.next = next;
            selection.place.end = end;
            self.level -= u32::from(selection.kind == Kind::Field);
        }
    }

    fn field(&mut self) -> Result<(), Fault> {
        let start = self.lexer.at();
        let (mut name, mut alias) = (self.lexer.name()?, Place::default());
        if self.lexer.take_if(b':')? {
            (alias, name) = (name, self.lexer.name()?);
        }
        self.arguments(Constant::No)?;
        let directives = self.directives(Constant::No)?;
        self.push(Kind::Field, start, name, alias, directives);
        if self.lexer.next() == b'{' {
            self.enter()?;
            self.level += 1;
        }
        Ok(())
    }

    /// `...`, and what follows it.
    fn fragment_in_place(&mut self) -> Result<(), Fault> {
        let start = self.lexer.at();
        self.lexer.spread()?;
        let mut on = Place::default();
        if !matches!(self.lexer.next(), b'@' | b'{') {
            on = self.lexer.name()?;
            if self.lexer.text(on) != b"on" {
                let directives = self.directives(Constant::No)?;
                self.push(Kind::Spread, start, on, Place::default(), directives);
                return Ok(());
            }
            on = self.lexer.name()?;
        }
        let directives = self.directives(Constant::No)?;
        self.push(Kind::Inline, start, on, Place::default(), directives);
        self.enter()
    }

    /// Notes a selection, as if nothing were within it.
    fn push(&mut self, kind: Kind, start: u32, name: Place, alias: Place, directives: Directives) {
        self.selections.push(Selection {
            kind,
            is_absent: directives.is_absent(),
            name,
            alias,
            place: Place { start, end: self.lexer.end() },
            next: self.selections.len() as u32 + 1,
            level: self.level,
            directives: directives.count,
            target: 0,
        });
    }

    /// Opens the braces of the selection that was noted last.
    fn enter(&mut self) -> Result<(), Fault> {
        self.lexer.expect(b'{', "`{` is expected")?;
        self.open.push(self.selections.len() as u32 - 1);
        self.depth += 1;
        self.nested(0)
    }

    /// Looks at how deep it is: so many more than the braces that are open.
    fn nested(&mut self, more: u64) -> Result<(), Fault> {
        let nesting = self.depth + more;
        self.nesting = self.nesting.max(nesting);
        if nesting > self.most_nesting { Err(Fault::Recursion) } else { Ok(()) }
    }
}

/// Whether variables may stand in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Constant {
    Yes,
    No,
}

/// Octets of a document for each of its selections, about.
const OCTETS: usize = 16;
/// Octets of a document that room is made for at once.
const ROOM: usize = 16 * 1024;
