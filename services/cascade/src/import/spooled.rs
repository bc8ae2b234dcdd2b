//! What comes on standard input, as a file: an import reads everything twice.

use std::fs::{OpenOptions, remove_file};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::failure::{Exit, Failure};

/// What is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A table with a head.
    Csv,
    /// An object a line.
    Ndjson,
}

/// Of the files of this process.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A temporary file. It holds personal data: nobody else may read it, and it goes with this.
#[derive(Debug)]
pub struct Spooled {
    path: PathBuf,
}

impl Spooled {
    /// Reads all that comes.
    ///
    /// # Errors
    /// `Input` if it cannot be read, or the directory for temporary files not be written to.
    pub fn of(source: &mut dyn Read, form: Form) -> Result<Self, Failure> {
        let ending = if form == Form::Csv { "csv" } else { "ndjson" };
        let (process, moment) = (std::process::id(), stream::clock::machine_now());
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("cascade-import-{process}-{moment}-{number}.{ending}"));
        let unusable = |error: std::io::Error| Failure::new(Exit::Input, format!("{}: {error}", path.display()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(unusable)?;
        let spooled = Spooled { path: path.clone() };
        std::io::copy(source, &mut file).map_err(unusable)?;
        Ok(spooled)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        let mut note = self.path.clone().into_os_string();
        note.push(".import");
        for path in [self.path.clone(), note.into()] {
            // There is no note where nothing was published.
            drop(remove_file(path));
        }
    }
}
