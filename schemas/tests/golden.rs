//! What was released stays readable: bytes of every released version are decoded and written again, byte for byte.
//!
//! `UPDATE_GOLDEN=1` writes the files that are missing, for a new record or a new version. It never changes one that exists.

mod samples;

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use schemas::{Record, decode, encode};

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/v1").join(file)
}

/// The file's bytes; with `UPDATE_GOLDEN` a missing file is first written with today's.
fn released(file: &str, today: &[u8]) -> Vec<u8> {
    let path = golden(file);
    if !path.exists() && std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, today).unwrap();
    }
    fs::read(&path)
        .unwrap_or_else(|error| panic!("{file}: {error}. For a new record: UPDATE_GOLDEN=1 cargo test -p schemas"))
}

#[test]
fn bytes_of_version_1_are_read_and_written_again() {
    struct Check(usize);
    impl samples::Visitor for Check {
        fn visit<T: Record + PartialEq + Debug>(&mut self, name: &str, record: T) {
            let bytes = released(&format!("{name}.bin"), &encode(&record));
            assert_eq!(decode::<T>(&bytes).as_ref(), Ok(&record), "{name} is read as another value");
            if T::VERSIONS.len() == 1 {
                assert_eq!(encode(&record), bytes, "{name} is written as other bytes");
            }
            self.0 += 1;
        }
    }
    let mut check = Check(0);
    samples::each(&mut check);
    assert_eq!(check.0, fs::read_dir(golden("")).unwrap().filter(is_sample).count(), "a file without a sample");
}

fn is_sample(file: &std::io::Result<fs::DirEntry>) -> bool {
    file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|extension| extension == "bin"))
}

/// The bytes alone would not show a symbol or a branch that was added without a new version.
#[test]
fn the_schemas_of_version_1_are_those_that_were_released() {
    struct Fingerprints(String);
    impl samples::Visitor for Fingerprints {
        fn visit<T: Record + PartialEq + Debug>(&mut self, _: &str, _: T) {
            let line = format!("{} {}\n", T::NAME, Schema::parse_str(T::VERSIONS[0]).unwrap().fingerprint::<Rabin>());
            if !self.0.ends_with(&line) {
                self.0.push_str(&line);
            }
        }
    }
    let mut today = Fingerprints(String::new());
    samples::each(&mut today);
    let released = released("fingerprints", today.0.as_bytes());
    assert_eq!(
        today.0,
        String::from_utf8(released).unwrap(),
        "keep the released schema, and add the new one as a new version"
    );
}
