//! How far an import is, in a file beside what is imported.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::mapping::Mapping;
use super::{Args, hex};
use crate::failure::{Exit, Failure};

/// The beginning of a file, by which it is known again though lines were added at its end.
const BEGINNING: u64 = 4 * 1024;

/// What is noted.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// Of which file, kind and mapping, and into which topic.
    of: String,
    read: u64,
    /// So many bytes of the file, and what they are: a file that is another one up to there is no longer this import's.
    bytes: u64,
    digest: String,
}

/// How far it is.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    of: String,
    /// So many records, from the first on, are done with.
    pub read: u64,
    file: File,
    /// Of all that is done with.
    digest: Sha256,
    bytes: u64,
}

impl State {
    /// Reads what was noted of an import into the topic with this `identity`: the cluster's id, the topic's name and its id. What one cluster has,
    /// another one has not, and a topic that was made anew is empty.
    ///
    /// # Errors
    /// `Usage` if it is of another import, `Input` if it cannot be read.
    pub fn open(args: &Args, mapping: &Mapping, identity: &str) -> Result<Self, Failure> {
        let path = args.state.clone().unwrap_or_else(|| {
            let mut name = args.file.clone().into_os_string();
            name.push(".import");
            name.into()
        });
        let unusable =
            |error: &dyn std::fmt::Display| Failure::new(Exit::Input, format!("{}: {error}", path.display()));
        let of = fingerprint(args, mapping, identity).map_err(|error| unusable(&error))?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) if !args.restart => text,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(&error)),
            _ => String::new(),
        };
        let file = File::open(&args.file).map_err(|error| unusable(&error))?;
        let mut state = State { path: path.clone(), of, read: 0, file, digest: Sha256::new(), bytes: 0 };
        if text.is_empty() {
            return Ok(state);
        }
        let note: Note = serde_json::from_str(&text).map_err(|error| unusable(&error))?;
        state.take_up(note.bytes).map_err(|error| unusable(&error))?;
        if note.of != state.of || note.digest != hex(state.digest.clone()) {
            let words = "this is the note of another import (file, kind, mapping, Kafka or topic), or the file has changed up to where it was: name another with --state, or begin anew with --restart";
            return Err(Failure::new(Exit::Usage, format!("{}: {words}", path.display())));
        }
        state.read = note.read;
        Ok(state)
    }

    /// Digests the file up to this place.
    fn take_up(&mut self, bytes: u64) -> std::io::Result<()> {
        let mut part = BufReader::new((&self.file).take(bytes.saturating_sub(self.bytes)));
        loop {
            let found = part.fill_buf()?;
            if found.is_empty() {
                return Ok(());
            }
            self.digest.update(found);
            let length = found.len();
            self.bytes += length as u64;
            part.consume(length);
        }
    }

    /// Notes that so many are done with, which end at this byte. What was noted before stays until this is there whole.
    ///
    /// # Errors
    /// `Input` if it cannot be written.
    pub fn note(&mut self, read: u64, bytes: u64) -> Result<(), Failure> {
        let taken = self.take_up(bytes);
        taken.map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", self.path.display())))?;
        let note = Note { of: self.of.clone(), read, bytes: self.bytes, digest: hex(self.digest.clone()) };
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        let text = serde_json::to_string(&note).map_err(Failure::unexpected)?;
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &self.path));
        written.map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", self.path.display())))?;
        self.read = read;
        Ok(())
    }
}

/// Whatever makes an import another: the file's first line, its kind, what is read from where, and where it goes.
fn fingerprint(args: &Args, mapping: &Mapping, identity: &str) -> std::io::Result<String> {
    let mut beginning = Vec::new();
    std::fs::File::open(&args.file)?.take(BEGINNING).read_to_end(&mut beginning)?;
    let first = beginning.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(hex(Sha256::new_with_prefix(first)
        .chain_update(&args.kind)
        .chain_update(mapping.words())
        .chain_update(identity)))
}
