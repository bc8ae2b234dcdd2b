//! The state directory: whether it can be used at all, before anything is restored into it.

use std::io;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use crate::failure::{Exit, Failure};

/// Makes the directory if there is none, and tries to read and write in it.
///
/// # Errors
/// `State`, with the system's reason.
pub fn require(dir: &Path) -> Result<(), Failure> {
    usable(dir).map_err(|error| unusable(dir, &error))
}

/// Whether [`require`] would find it usable, as far as can be told without making or writing anything.
///
/// # Errors
/// `State`, with the system's reason.
pub fn look(dir: &Path) -> Result<(), Failure> {
    let there = existing(dir);
    let needed = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
    let is_fine = match there.is_dir() {
        true => access(there, needed).map_err(io::Error::from),
        false => Err(io::ErrorKind::NotADirectory.into()),
    };
    is_fine.map_err(|error| unusable(dir, &error))
}

/// The directory, or where it would be made.
pub fn existing(dir: &Path) -> &Path {
    let there = dir.ancestors().find(|dir| dir.exists());
    // A relative path ends with the empty one, which is where we are.
    there.unwrap_or_else(|| Path::new("."))
}

fn unusable(dir: &Path, error: &io::Error) -> Failure {
    let dir = dir.display();
    let sentence = format!(
        "the state directory {dir} cannot be used ({error}): set state.dir to a directory that this user may read and write"
    );
    Failure::new(Exit::State, sentence)
}

fn usable(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for entry in std::fs::read_dir(dir)? {
        entry?;
    }
    // Permissions alone do not tell: the disk may be full or read-only.
    let trial = dir.join(".writable");
    std::fs::write(&trial, b"yes")?;
    std::fs::remove_file(&trial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_missing_is_made_and_left_clean() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("a/b");
        require(&dir).unwrap();
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_its_place_is_refused_with_advice() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("state");
        std::fs::write(&file, b"").unwrap();
        let failure = require(&file).unwrap_err();
        assert_eq!(failure.exit, Exit::State);
        assert!(failure.sentence.contains("set state.dir"), "{failure}");
        assert_eq!(look(&file).unwrap_err().exit, Exit::State);
        assert_eq!(look(&file.join("below")).unwrap_err().exit, Exit::State);
    }

    #[test]
    fn a_look_makes_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("a/b");
        look(&dir).unwrap();
        assert_eq!(existing(&dir), parent.path());
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
        look(Path::new("no-such-directory-here")).unwrap();
    }
}
