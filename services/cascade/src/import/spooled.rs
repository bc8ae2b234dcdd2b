//! What comes on standard input, as a file: an import reads everything twice.

use std::io::Read;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::failure::{Exit, Failure};

/// What is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A table with a head.
    Csv,
    /// An object a line.
    Ndjson,
}

/// A temporary file. It holds personal data: nobody else may read it, and it goes with this.
#[derive(Debug)]
pub struct Spooled {
    file: NamedTempFile,
}

impl Spooled {
    /// Reads all that comes.
    ///
    /// # Errors
    /// `Input` if it cannot be read, or the directory for temporary files not be written to.
    pub fn of(source: &mut dyn Read, form: Form) -> Result<Self, Failure> {
        let ending = if form == Form::Csv { ".csv" } else { ".ndjson" };
        let unusable =
            |path: &Path, error: &std::io::Error| Failure::new(Exit::Input, format!("{}: {error}", path.display()));
        let file = tempfile::Builder::new().prefix("cascade-import-").suffix(ending).tempfile();
        let mut file = file.map_err(|error| unusable(&std::env::temp_dir(), &error))?;
        std::io::copy(source, &mut file).map_err(|error| unusable(file.path(), &error))?;
        Ok(Spooled { file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        let mut note = self.path().as_os_str().to_owned();
        note.push(".import");
        // There is none where nothing was published.
        drop(std::fs::remove_file(note));
    }
}
