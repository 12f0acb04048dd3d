//! How a [`Document`] is written, value after value.

use crate::token::json::document::{
    ARRAY, Cursor, Document, EXTENT, FALSE, FLOAT, GROUP, LAST, LONG, MORE, NATURAL, NEGATIVE, NULL, Numeral,
    OBJECT, SHORT, TRUE,
};

/// A document in the making: the octets described above.
#[derive(Debug, Default)]
pub(in crate::token) struct Writer {
    octets: Vec<u8>,
}

/// An array or object that is not finished.
#[derive(Debug, Clone, Copy)]
pub(in crate::token) struct Open {
    /// Where its elements or members begin.
    start: usize,
    /// A bit for each octet count and first octet that a name has had, modulo 64: most names differ from all others.
    seen: u64,
}

impl Writer {
    /// Room for what a text of `length` octets holds, most often.
    pub(in crate::token) fn new(length: usize) -> Self {
        Self { octets: Vec::with_capacity(length) }
    }

    pub(in crate::token) fn null(&mut self) {
        self.octets.push(NULL);
    }

    pub(in crate::token) fn flag(&mut self, flag: bool) {
        self.octets.push(if flag { TRUE } else { FALSE });
    }

    pub(in crate::token) fn number(&mut self, number: Numeral) {
        let (kind, bits) = match number {
            Numeral::Natural(number) => (NATURAL, number),
            Numeral::Negative(number) => (NEGATIVE, !number.cast_unsigned()),
            Numeral::Float(number) => (FLOAT, number.to_bits()),
        };
        self.octets.push(kind);
        self.groups(bits);
    }

    pub(in crate::token) fn text(&mut self, text: &str) {
        match u8::try_from(text.len()) {
            Ok(length @ 0..=LAST) => self.octets.push(SHORT | length),
            Ok(_) | Err(_) => {
                self.octets.push(LONG);
                self.groups(text.len() as u64);
            }
        }
        self.octets.extend_from_slice(text.as_bytes());
    }

    /// The outermost object: its members alone.
    pub(in crate::token) fn outermost(&self) -> Open {
        Open { start: self.octets.len(), seen: 0 }
    }

    pub(in crate::token) fn open_array(&mut self) -> Open {
        self.open(ARRAY)
    }

    pub(in crate::token) fn open_object(&mut self) -> Open {
        self.open(OBJECT)
    }

    /// The document.
    pub(in crate::token) fn finish(self) -> Option<Document> {
        // Copied, that no room is kept which was taken for more.
        str::from_utf8(&self.octets).ok().map(|octets| Document(octets.into()))
    }

    fn open(&mut self, kind: u8) -> Open {
        self.octets.push(kind);
        self.octets.extend_from_slice(&[0; EXTENT]);
        self.outermost()
    }

    /// Ends an array or object; `false` where it is larger than an extent can say.
    #[must_use]
    pub(in crate::token) fn close(&mut self, open: Open) -> bool {
        let mut extent = self.octets.len() - open.start;
        for octet in &mut self.octets[open.start - EXTENT..open.start] {
            *octet = (extent & usize::from(LAST)) as u8;
            extent >>= GROUP;
        }
        extent == 0
    }

    /// Writes a member's name; `false` where the object has it already.
    #[must_use]
    pub(in crate::token) fn name(&mut self, open: &mut Open, name: &str) -> bool {
        let mark = 1 << ((name.len() * 8 + usize::from(name.bytes().next().unwrap_or_default())) % 64);
        if open.seen & mark != 0 && (Cursor { within: &self.octets, at: open.start }).find(name) {
            return false;
        }
        open.seen |= mark;
        self.text(name);
        true
    }

    fn groups(&mut self, mut number: u64) {
        while number > u64::from(LAST) {
            self.octets.push(MORE | (number as u8 & LAST));
            number >>= GROUP;
        }
        self.octets.push(number as u8);
    }
}
