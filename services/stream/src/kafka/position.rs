//! Where a group stands.

use crate::{Error, Verdict};

/// A committed position of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Next offset to read; none where the group has none.
    pub offset: Option<i64>,
    /// What the owner wrote beside it.
    pub metadata: String,
}

impl Position {
    /// Where to start to read a partition that holds `low` to `high`: at the group's offset, or at the first record if it has
    /// none or that one was deleted meanwhile.
    ///
    /// # Errors
    /// `Retry` if the group stands past the end: a leader that was just replaced may name a stale one. To read all of it again
    /// would repeat everything that was ever done.
    pub fn start_within(&self, low: i64, high: i64) -> Result<i64, Error> {
        let (topic, partition) = (&self.topic, self.partition);
        match self.offset {
            None => Ok(low),
            Some(offset) if offset < low => {
                tracing::error!(
                    topic,
                    partition,
                    "records {offset} to {low} were deleted before they were read: retention is too short"
                );
                Ok(low)
            }
            Some(offset) if offset > high => Err(Error::new(
                Verdict::Retry,
                "start to read",
                format!(
                    "the group stands at {offset} of {topic}/{partition}, which ends at {high}; if the topic was made anew, reset the group's offsets"
                ),
            )),
            Some(offset) => Ok(offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: Option<i64>) -> Position {
        Position { topic: "cart".to_owned(), partition: 3, offset, metadata: String::new() }
    }

    #[test]
    fn a_group_without_offset_starts_at_the_first_record() {
        assert_eq!(at(None).start_within(5, 9).unwrap(), 5);
    }

    #[test]
    fn a_group_goes_on_where_it_stood() {
        assert_eq!(at(Some(5)).start_within(5, 9).unwrap(), 5);
        assert_eq!(at(Some(9)).start_within(5, 9).unwrap(), 9);
    }

    #[test]
    fn what_was_deleted_meanwhile_is_skipped() {
        assert_eq!(at(Some(4)).start_within(5, 9).unwrap(), 5);
    }

    #[test]
    fn a_position_past_the_end_is_never_taken_for_the_beginning() {
        let error = at(Some(10)).start_within(5, 9).unwrap_err();
        assert_eq!(error.verdict(), Verdict::Retry);
        assert!(error.to_string().contains("reset the group's offsets"), "{error}");
    }
}
