//! The rows of a changelog, read from outside: for tools that look at everybody and own nothing.

use std::collections::BTreeMap;

use crate::Error;
use crate::control::{self, Entry, Meta, Sequence};
use crate::kafka::{Reader, Settings};

/// Hands over every row of one partition as the last commit left it, by its key. All rows of the partition are in memory meanwhile.
///
/// # Errors
/// Those of Kafka, and `Stop` for a record that is none of ours.
pub fn read_rows(
    settings: &Settings,
    changelog: &str,
    partition: i32,
    mut each: impl FnMut(&[u8], &[u8]),
) -> Result<(), Error> {
    Rows::read(settings, changelog, partition)?.closed.iter().for_each(|(key, bytes)| each(key, bytes));
    Ok(())
}

/// Rows as far as a META closed them.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) closed: BTreeMap<Box<[u8]>, Box<[u8]>>,
    /// Rows that no META has closed.
    pub(crate) open: Vec<Open>,
    /// The last one.
    pub(crate) meta: Option<Meta>,
    /// The offset at which each key was last written, if anybody wants to know.
    pub(crate) written: Option<BTreeMap<Box<[u8]>, i64>>,
    /// Offset of the first META that cannot follow upon the one before.
    pub(crate) disorder: Option<i64>,
}

/// A row that no META has closed yet: its key, the commit that wrote it, and its bytes.
pub(crate) type Open = (Box<[u8]>, Option<Sequence>, Option<Box<[u8]>>);

impl Rows {
    /// One partition, whole.
    pub(crate) fn read(settings: &Settings, changelog: &str, partition: i32) -> Result<Self, Error> {
        Rows::default().filled(settings, changelog, partition)
    }

    /// The same, and where each key was last written.
    pub(crate) fn read_with_places(settings: &Settings, changelog: &str, partition: i32) -> Result<Self, Error> {
        Rows { written: Some(BTreeMap::new()), ..Rows::default() }.filled(settings, changelog, partition)
    }

    fn filled(self, settings: &Settings, changelog: &str, partition: i32) -> Result<Self, Error> {
        let mut reader = Reader::new(settings)?;
        let topic = reader.topic(changelog)?;
        let mut rows = self;
        let mut wrong = None;
        reader.read_whole(topic, partition, |record| {
            let (key, offset) = (record.key().unwrap_or_default(), record.offset());
            if let (Some(written), [_, key @ ..]) = (&mut rows.written, key) {
                written.insert(key.into(), offset);
            }
            let before = rows.meta.as_ref().map(|meta| meta.sequence);
            let taken = rows.take(key, record.value());
            if before > rows.meta.as_ref().map(|meta| meta.sequence) {
                rows.disorder.get_or_insert(offset);
            }
            if let (None, Err(words)) = (&wrong, taken) {
                wrong = Some(format!("partition {partition}, offset {offset}: {words}"));
            }
        })?;
        match wrong {
            Some(words) => Err(Error::stop("read the changelog", words)),
            None => Ok(rows),
        }
    }

    fn take(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), String> {
        match control::read(key, value)? {
            Entry::Row { key, sequence, bytes } => self.open.push((key.into(), sequence, bytes.map(Into::into))),
            Entry::Meta(meta) => {
                self.close(&meta);
                self.meta = Some(*meta);
            }
            Entry::Barrier(_) => {}
        }
        Ok(())
    }

    fn close(&mut self, meta: &Meta) {
        for (key, sequence, bytes) in std::mem::take(&mut self.open) {
            if !meta.sequence.closes(sequence) {
                self.open.push((key, sequence, bytes));
            } else if let Some(bytes) = bytes {
                self.closed.insert(key, bytes);
            } else {
                self.closed.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rows: &mut Rows, key: &[u8], n: u64, bytes: Option<&[u8]>) {
        let (mut at, mut value) = (Vec::new(), Vec::new());
        control::row_key(key, &mut at);
        control::start_row(Sequence { epoch: 1, n }, &mut value);
        let value = bytes.map(|bytes| [&value, bytes].concat());
        rows.take(&at, value.as_deref()).unwrap();
    }

    fn meta(rows: &mut Rows, n: u64) {
        let meta = Meta { sequence: Sequence { epoch: 1, n }, ..Meta::default() };
        rows.take(control::META_KEY, Some(&serde_json::to_vec(&meta).unwrap())).unwrap();
    }

    fn keys(rows: &Rows) -> Vec<(&[u8], &[u8])> {
        rows.closed.iter().map(|(key, bytes)| (&**key, &**bytes)).collect()
    }

    #[test]
    fn only_what_a_meta_closed_counts_and_the_last_word_holds() {
        let mut rows = Rows::default();
        row(&mut rows, b"a", 1, Some(b"1"));
        row(&mut rows, b"b", 1, Some(b"1"));
        assert!(rows.closed.is_empty());
        meta(&mut rows, 1);
        row(&mut rows, b"a", 2, Some(b"2"));
        row(&mut rows, b"b", 2, None);
        assert_eq!(keys(&rows), [(&b"a"[..], &b"1"[..]), (b"b", b"1")]);
        meta(&mut rows, 2);
        assert_eq!(keys(&rows), [(&b"a"[..], &b"2"[..])]);
        // Torn: its META never came, and an older one does not close it.
        row(&mut rows, b"c", 4, Some(b"4"));
        meta(&mut rows, 3);
        assert_eq!(keys(&rows).len(), 1);
        assert!(rows.take(b"other", Some(b"")).is_err());
    }
}
