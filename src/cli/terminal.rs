//! Where a command reads and writes, and how it ends.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::process::ExitCode;

/// Standard input, output and error: results go to `out`, messages to `err`.
pub struct Terminal<'t> {
    /// What is piped in.
    pub input: &'t mut dyn Read,
    /// Results, for a person or the next program.
    pub out: &'t mut dyn Write,
    /// Messages.
    pub err: &'t mut dyn Write,
}

/// How a command ends: the exit codes of the product (after `sysexits.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or allowed.
    Fine = 0,
    /// Refused, or a test failed, or what was asked for could not be done.
    Refused = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A port or the store is taken, or what an upgrade needs is not there, or the gateway or its store, for what it was
    /// asked (`EX_UNAVAILABLE`).
    Taken = 69,
    /// Our bug (`EX_SOFTWARE`).
    Bug = 70,
    /// The configuration is wrong (`EX_CONFIG`).
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Terminal<'_> {
    /// Says why a command ends so.
    pub fn end(&mut self, exit: Exit, why: impl Display) -> io::Result<Exit> {
        writeln!(self.err, "portcullis: {why}")?;
        Ok(exit)
    }
}

/// Text from a file or a token, fit for a terminal: control characters (C1 and bidirectional ones too) are
/// written as escapes, so that nothing in it can move the cursor or pose as something else.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let bidirectional =
            matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (character.is_control() && character != '\n') || bidirectional {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}
