//! `portcullis revoke import`: the lines go out while what is said of them comes in.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use clap::Args;
use serde_json::Value;

use crate::cli::admin_client::{Admin, Answer, Sending, Sent};
use crate::cli::revoke::PATH;
use crate::cli::terminal::{Exit, Terminal, visible};

/// What `revoke import` is told.
#[derive(Debug, Args)]
pub struct Import {
    /// The configuration of the running gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Entries in JSON, one a line; `-` is standard input.
    from: PathBuf,
    /// Begins with this line: what an import that was cut short says.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    from_line: u64,
    /// Stops at the first line that is refused.
    #[arg(long)]
    strict: bool,
    /// Says what would be added, and adds nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What came of the request.
enum Heard {
    /// A line of the answer.
    Said(Value),
    /// Nothing comes after.
    Last(Last),
}

/// How an answer ended.
enum Last {
    /// With the line that says so.
    Said(Value),
    /// It is none to an import.
    Refused(Answer),
    /// It broke off.
    Failed(io::Error),
}

/// What is said while lines go out.
struct Talk {
    heard: Receiver<Heard>,
    /// Lines that were not sent: what is told counts from the file's first.
    skipped: u64,
    /// Up to which line all was dealt with, as far as is known.
    lines: u64,
}

/// Sends a file of entries.
pub(crate) fn import(arguments: &Import, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let admin = match Admin::of(&arguments.config, terminal)? {
        Ok(admin) => admin,
        Err(exit) => return Ok(exit),
    };
    let mut file = None;
    if arguments.from != Path::new("-") {
        match File::open(&arguments.from) {
            Ok(opened) => file = Some(opened),
            Err(error) => {
                return terminal.end(Exit::Usage, format!("{}: {error}", arguments.from.display()));
            }
        }
    }
    let Import { dry_run, strict, from_line, .. } = *arguments;
    let target = format!("{PATH}/import?dry_run={dry_run}&strict={strict}");
    let (mut sending, reading) = match admin.begin("POST", &target, &Sent::Lines).and_then(Sending::both) {
        Ok(both) => both,
        Err(error) => return admin.unreachable(&error, terminal),
    };
    let (sender, heard) = channel();
    thread::spawn(move || listen(reading, &sender));
    let skipped = from_line.saturating_sub(1);
    let mut talk = Talk { heard, skipped, lines: skipped };
    let input: &mut dyn Read = match &mut file {
        Some(file) => file,
        None => terminal.input,
    };
    let last = match talk.send(input, &mut sending, terminal.err)? {
        Ok(Some(last)) => last,
        Ok(None) => talk.last(terminal.err)?,
        Err(error) => {
            let why = format!("{}: {error}; lines before are in force", arguments.from.display());
            return terminal.end(Exit::Refused, why);
        }
    };
    match last {
        Last::Said(end) => talk.ended(&end, dry_run, terminal),
        Last::Refused(answer) => admin.refused(&answer, terminal),
        Last::Failed(error) if talk.lines == skipped => admin.unreachable(&error, terminal),
        Last::Failed(error) => {
            let why = format!("the answer broke off ({error}); go on with --from-line {}", talk.lines + 1);
            terminal.end(Exit::Taken, why)
        }
    }
}

/// Reads the answer, and passes on what it says.
fn listen(sending: Sending, to: &Sender<Heard>) {
    let last = answer(sending, to).unwrap_or_else(Last::Failed);
    // Whoever waits for it may have given up.
    let _heard = to.send(Heard::Last(last));
}

fn answer(sending: Sending, to: &Sender<Heard>) -> io::Result<Last> {
    let mut reading = sending.answer()?;
    if reading.status != 200 {
        return Ok(Last::Refused(reading.whole()?));
    }
    let mut line = Vec::new();
    while let Some(piece) = reading.next()? {
        for octet in piece {
            if octet != b'\n' {
                line.push(octet);
                continue;
            }
            let said: Value = serde_json::from_slice(&line)?;
            line.clear();
            if said["done"].is_boolean() {
                return Ok(Last::Said(said));
            }
            let _heard = to.send(Heard::Said(said));
        }
        if line.len() > LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without an end"));
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

impl Talk {
    /// Sends the lines, until there are no more or none is wanted. The inner error is the file's.
    fn send(
        &mut self,
        input: &mut dyn Read,
        sending: &mut Sending,
        err: &mut dyn Write,
    ) -> io::Result<io::Result<Option<Last>>> {
        let (mut piece, mut left) = ([0; PIECE], self.skipped);
        loop {
            while let Ok(heard) = self.heard.try_recv() {
                if let Some(last) = self.tell(heard, err)? {
                    return Ok(Ok(Some(last)));
                }
            }
            let length = match input.read(&mut piece) {
                Ok(length) => length,
                Err(error) => return Ok(Err(error)),
            };
            let octets = behind(&piece[..length], &mut left);
            // The empty chunk is the last.
            let sent = if octets.is_empty() && length > 0 { Ok(()) } else { sending.write(octets) };
            // A connection that takes no more has an answer that says why.
            if length == 0 || sent.is_err() {
                return Ok(Ok(None));
            }
        }
    }

    /// Waits for the end.
    fn last(&mut self, err: &mut dyn Write) -> io::Result<Last> {
        while let Ok(heard) = self.heard.recv() {
            if let Some(last) = self.tell(heard, err)? {
                return Ok(last);
            }
        }
        Ok(Last::Failed(io::ErrorKind::UnexpectedEof.into()))
    }

    fn tell(&mut self, heard: Heard, err: &mut dyn Write) -> io::Result<Option<Last>> {
        let said = match heard {
            Heard::Said(said) => said,
            Heard::Last(last) => return Ok(Some(last)),
        };
        if let Some(line) = said["line"].as_u64() {
            let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
            let (line, what, hint) = (line + self.skipped, text("what"), text("hint"));
            writeln!(err, "{}", visible(&format!("line {line}: {what} ({hint})")))?;
        } else {
            self.lines = self.skipped + said["lines"].as_u64().unwrap_or_default();
            writeln!(err, "{} lines, {} added, {} refused", self.lines, said["added"], said["refused"])?;
        }
        Ok(None)
    }

    fn ended(&self, end: &Value, dry_run: bool, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
        for warning in end["warnings"].as_array().into_iter().flatten() {
            let warning = warning.as_str().unwrap_or_default();
            writeln!(terminal.err, "{}", visible(&format!("warning: {warning}")))?;
        }
        let (added, refused) = (&end["added"], &end["refused"]);
        let lines = self.skipped + end["lines"].as_u64().unwrap_or_default();
        let done = if dry_run { "would be added" } else { "added" };
        writeln!(terminal.out, "{lines} lines, {added} {done}, {refused} refused")?;
        if end["done"] == true {
            return Ok(if *refused == 0 { Exit::Fine } else { Exit::Refused });
        }
        let text = |name: &str| end[name].as_str().unwrap_or_default();
        let exit = if text("reason") == "entries_refused" { Exit::Refused } else { Exit::Taken };
        let why =
            format!("stopped: {}: {} (--from-line {} goes on)", text("reason"), text("detail"), lines + 1);
        terminal.end(exit, visible(&why))
    }
}

/// What of these octets stands behind so many lines.
fn behind<'o>(mut octets: &'o [u8], lines: &mut u64) -> &'o [u8] {
    while *lines > 0 {
        let Some(end) = memchr::memchr(b'\n', octets) else { return &[] };
        octets = &octets[end + 1..];
        *lines -= 1;
    }
    octets
}

/// Octets that are sent at once.
const PIECE: usize = 64 * 1024;
/// Octets of a line of the answer.
const LINE: usize = 1024 * 1024;
