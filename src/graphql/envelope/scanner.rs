//! JSON, read from left to right; nothing is kept of it but where its parts stand.

use crate::graphql::envelope::text::{escape_length, special};
use crate::graphql::envelope::{
    Brought, DEPTH, EXTENSIONS, Envelope, MEMBERS, Malformed, Member, Members, NAME, Name, OUTER, meaning,
    members_of, persisted, text_of,
};

/// A text and how far it was read.
pub(in crate::graphql::envelope) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// There was an escape since this was last unset.
    escaped: bool,
}

impl<'t> Scanner<'t> {
    pub(in crate::graphql::envelope) fn new(text: &'t str) -> Self {
        Self { text, at: 0, escaped: false }
    }

    pub(in crate::graphql::envelope) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(in crate::graphql::envelope) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, octet: u8) -> Result<(), Malformed> {
        if self.peek() != Some(octet) {
            return Err(Malformed("not JSON"));
        }
        self.at += 1;
        Ok(())
    }

    pub(in crate::graphql::envelope) fn list(&mut self, most: usize) -> Result<Brought<'t>, Malformed> {
        self.take(b'[')?;
        let mut list = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Brought::List(list));
        }
        loop {
            self.space();
            if list.len() == most {
                return Ok(Brought::TooMany);
            }
            let start = self.at;
            let envelope = self.envelope()?;
            list.push((envelope, self.text.get(start..self.at).unwrap_or_default()));
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => break,
            }
        }
        self.take(b']')?;
        Ok(Brought::List(list))
    }

    pub(in crate::graphql::envelope) fn envelope(&mut self) -> Result<Envelope<'t>, Malformed> {
        let mut envelope = Envelope { members: self.members(OUTER, 1)?, ..Envelope::default() };
        for member in &envelope.members {
            match member.name {
                Name::Query => envelope.query = member.document()?,
                Name::OperationName => envelope.operation_name = member.text()?,
                Name::Variables if !member.value.starts_with(['{', 'n']) => {
                    return Err(Malformed("variables that are no object"));
                }
                Name::Variables => {}
                Name::Extensions => {
                    envelope.extensions =
                        members_of(member.value, EXTENSIONS)?.map(Members::into_vec).unwrap_or_default();
                    envelope.persisted = persisted(&envelope.extensions)?;
                }
                Name::Id => {
                    let Some(id) = member.text()? else { continue };
                    if envelope.id.replace(id).is_some() {
                        return Err(Malformed("two members that name a document"));
                    }
                }
                Name::PersistedQuery | Name::Hash | Name::Version | Name::Other => {}
            }
        }
        Ok(envelope)
    }

    /// The members of the object that begins here. Equal names are refused.
    pub(in crate::graphql::envelope) fn members(
        &mut self,
        known: &[(&str, Name)],
        depth: usize,
    ) -> Result<Members<'t>, Malformed> {
        self.take(b'{')?;
        let mut members = Members::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(members);
        }
        loop {
            self.space();
            self.escaped = false;
            let key = text_of(self.string()?, self.escaped);
            if key.len() > NAME {
                return Err(Malformed("a member with a name that is too long"));
            }
            self.space();
            self.take(b':')?;
            self.escaped = false;
            let value = self.value(depth)?;
            let name = meaning(&key, known)?;
            if members.iter().any(|other| other.is_also(name, &key)) {
                return Err(Malformed("a member stands twice"));
            }
            if members.len() == MEMBERS {
                return Err(Malformed("too many members"));
            }
            members.push(Member { name, key, value, escaped: self.escaped });
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => break,
            }
        }
        self.take(b'}')?;
        Ok(members)
    }

    /// Any value, as written.
    pub(in crate::graphql::envelope) fn value(&mut self, depth: usize) -> Result<&'t str, Malformed> {
        self.space();
        let start = self.at;
        match self.peek() {
            Some(b'"') => drop(self.string()?),
            Some(b'{') => self.nested(depth, b'}')?,
            Some(b'[') => self.nested(depth, b']')?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            Some(_) | None => return Err(Malformed("not JSON")),
        }
        self.text.get(start..self.at).ok_or(Malformed("not JSON"))
    }

    /// An object or array of which nothing is wanted but its end.
    fn nested(&mut self, depth: usize, end: u8) -> Result<(), Malformed> {
        if depth == DEPTH {
            return Err(Malformed("nested deeper than is taken"));
        }
        self.at += 1;
        self.space();
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(());
        }
        loop {
            if end == b'}' {
                self.space();
                self.string()?;
                self.space();
                self.take(b':')?;
            }
            self.value(depth + 1)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => return self.take(end),
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Malformed> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(Malformed("not JSON"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(_) | None => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Malformed("not JSON")) } else { Ok(()) }
    }

    /// A string, without its quotes and still escaped. Its escapes are in order.
    fn string(&mut self) -> Result<&'t str, Malformed> {
        self.take(b'"')?;
        let start = self.at;
        let octets = self.text.as_bytes();
        loop {
            self.at = special(octets, self.at);
            match octets.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.escaped = true;
                    self.at += escape_length(octets.get(self.at..).unwrap_or_default())?;
                }
                Some(_) => return Err(Malformed("a control character in a string")),
                None => return Err(Malformed("not JSON")),
            }
        }
        let raw = self.text.get(start..self.at).ok_or(Malformed("not JSON"));
        self.at += 1;
        raw
    }
}
