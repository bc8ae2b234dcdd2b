//! The lines of a file, each with its place.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use csv::StringRecord;
use schemas::json::Misfit;
use serde_json::{Map, Value};

use super::mapping::Mapping;
use crate::failure::{Exit, Failure};

/// No line is longer, in bytes: a source record has a megabyte at most.
const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Reads a file.
pub struct Lines {
    path: PathBuf,
    bytes: u64,
    place: u64,
    form: Form,
}

enum Form {
    Table { reader: Box<csv::Reader<File>>, head: Rc<[String]> },
    Objects { reader: BufReader<File>, number: u64 },
}

/// A line, or a row, which may take several.
pub struct Line {
    /// From 1.
    pub number: u64,
    text: Text,
}

enum Text {
    Cells { head: Rc<[String]>, cells: StringRecord },
    Object(Vec<u8>),
    Broken(String),
}

impl Lines {
    /// Opens a file; its name says what it is.
    ///
    /// # Errors
    /// `Input` if it cannot be read, or is of neither form.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let unusable = |why: String| Failure::new(Exit::Input, format!("{}: {why}", path.display()));
        let file = File::open(path).map_err(|error| unusable(error.to_string()))?;
        let bytes = file.metadata().map_err(|error| unusable(error.to_string()))?.len();
        let form = match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => {
                let mut reader = csv::ReaderBuilder::new().from_reader(file);
                let head = reader.headers().map_err(|error| unusable(error.to_string()))?;
                // Spreadsheets put a mark before the first name.
                let name = |name: &str| name.trim_start_matches('\u{feff}').trim().to_owned();
                let head = head.iter().map(name).collect();
                Form::Table { reader: Box::new(reader), head }
            }
            Some("ndjson" | "jsonl") => Form::Objects { reader: BufReader::new(file), number: 0 },
            _ => return Err(unusable("must end in .csv, .ndjson or .jsonl".to_owned())),
        };
        Ok(Lines { path: path.to_owned(), bytes, place: 0, form })
    }

    /// Its length, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many of them were read.
    pub fn place(&self) -> u64 {
        self.place
    }

    /// Names of the columns; none where lines are objects.
    pub fn head(&self) -> Option<&[String]> {
        match &self.form {
            Form::Table { head, .. } => Some(head),
            Form::Objects { .. } => None,
        }
    }

    /// The next line that is not empty; none at the end.
    ///
    /// # Errors
    /// `Input` if the file cannot be read on.
    pub fn next(&mut self) -> Result<Option<Line>, Failure> {
        let unusable = |error: std::io::Error| Failure::new(Exit::Input, format!("{}: {error}", self.path.display()));
        match &mut self.form {
            Form::Table { reader, head } => {
                let mut cells = StringRecord::new();
                let number = reader.position().line();
                let read = reader.read_record(&mut cells);
                self.place = reader.position().byte();
                let number = cells.position().map_or(number, csv::Position::line);
                match read {
                    Ok(false) => Ok(None),
                    Ok(true) => Ok(Some(Line { number, text: Text::Cells { head: Rc::clone(head), cells } })),
                    Err(error) if error.is_io_error() => Err(Failure::new(Exit::Input, error.to_string())),
                    // Its message says numbers alone.
                    Err(error) => Ok(Some(Line { number, text: Text::Broken(error.to_string()) })),
                }
            }
            Form::Objects { reader, number } => loop {
                let mut text = Vec::new();
                let read = std::io::Read::take(&mut *reader, LINE_BYTES_MAX).read_until(b'\n', &mut text);
                let read = read.map_err(unusable)? as u64;
                self.place += read;
                *number += 1;
                if read == 0 {
                    return Ok(None);
                }
                if read == LINE_BYTES_MAX {
                    let words = format!("line {number} has more than {LINE_BYTES_MAX} bytes");
                    return Err(Failure::new(Exit::Input, format!("{}: {words}", self.path.display())));
                }
                if !text.trim_ascii().is_empty() {
                    return Ok(Some(Line { number: *number, text: Text::Object(text) }));
                }
            },
        }
    }
}

impl Line {
    /// What it says, as an object.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn value(&self) -> Result<Value, Misfit> {
        match &self.text {
            Text::Cells { head, cells } => {
                let pairs = head.iter().zip(cells.iter()).map(|(name, cell)| (name.clone(), Value::from(cell)));
                Ok(Value::Object(Map::from_iter(pairs)))
            }
            Text::Object(text) => serde_json::from_slice(text).map_err(|error| Misfit {
                path: format!("character {}", error.column()),
                must: "is where it stops to be JSON".to_owned(),
            }),
            Text::Broken(words) => {
                Err(Misfit { path: "the row".to_owned(), must: format!("cannot be read ({words})") })
            }
        }
    }

    /// Whether it is a row of a table.
    pub fn is_cells(&self) -> bool {
        matches!(self.text, Text::Cells { .. })
    }

    /// Where in the line something does not fit: the column of a table with its name, or of a text.
    pub fn column(&self, misfit: &Misfit, mapping: &Mapping) -> String {
        match &self.text {
            Text::Cells { head, .. } => {
                let name = mapping.column_of(&misfit.path, head);
                let index = head.iter().position(|known| Some(known.as_str()) == name);
                match (name, index) {
                    (Some(name), Some(index)) => format!("column {} ({name})", index + 1),
                    _ => "column 1".to_owned(),
                }
            }
            Text::Object(text) => {
                if let Some(column) = misfit.path.strip_prefix("character ") {
                    return format!("column {column}");
                }
                let field = misfit.path.rsplit('.').next().unwrap_or_default();
                let field = format!("\"{}\"", field.split('[').next().unwrap_or_default());
                let at = text.windows(field.len()).position(|window| window == field.as_bytes());
                format!("column {}", at.map_or(1, |at| at + 1))
            }
            Text::Broken(_) => "column 1".to_owned(),
        }
    }
}
