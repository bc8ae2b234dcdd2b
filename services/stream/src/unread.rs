//! For how long the oldest record of a partition has waited: lag as a time.
//!
//! Offsets cannot say it. Between two records stand the marks of transactions and what was aborted, which nobody ever reads; and a thousand
//! records are a second's work or a day's. So each loop keeps Kafka's timestamp of the oldest record that it is not done with: an integer that
//! is set once in a transaction, no question to the brokers. What none of that costs is a read of the record before its turn: of a
//! record that was not read yet, it is known that it is no older than the one before it.

use std::time::Duration;

use crate::clock::Millis;

/// How often it is asked whether something waits behind an open transaction.
pub const LOOK_BEHIND: Duration = Duration::from_secs(1);

/// What waits in one partition, as its reader knows it. Of a new one nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unread {
    /// Kafka's timestamp of the oldest record that was read and is not done with, or of the last that is, where more follows; 0 for none.
    oldest: Millis,
    newest: Millis,
    /// What `oldest` speaks of is done with.
    is_done: bool,
    /// Something follows upon what was read.
    has_more: bool,
    /// Since when something is there that an open transaction hides; 0 for nothing.
    hidden_since: Millis,
    is_known: bool,
    told: Option<Millis>,
}

impl Unread {
    /// A record was read.
    #[inline]
    pub fn read(&mut self, appended_at: Millis) {
        if self.oldest == 0 || self.is_done {
            self.oldest = appended_at;
        }
        self.newest = appended_at;
        (self.is_done, self.has_more, self.is_known) = (false, true, true);
    }

    /// There is nothing more for now.
    pub fn end(&mut self) {
        (self.has_more, self.hidden_since, self.is_known) = (false, 0, true);
        if self.is_done {
            self.oldest = 0;
        }
    }

    /// Everything that was read is done with, and its results are committed.
    pub fn done(&mut self) {
        self.oldest = if self.has_more { self.newest } else { 0 };
        self.is_done = true;
    }

    /// Everything before the record with this timestamp is done with.
    pub fn done_before(&mut self, appended_at: Millis) {
        (self.oldest, self.is_done) = (appended_at, false);
    }

    /// What was read and not done with will be read again, or is done with after all.
    pub fn dropped(&mut self) {
        self.is_known = self.since() != 0;
        // Should others be done with before it is read again, nothing later is known of it.
        (self.is_done, self.has_more, self.newest) = (true, true, self.oldest);
    }

    /// Kafka's timestamp of the oldest record that was read and is not done with, if there is one.
    pub fn in_hand(&self) -> Option<Millis> {
        (self.oldest != 0 && !self.is_done).then_some(self.oldest)
    }

    /// At the end of what is committed: whether there are records behind it. How old they are, nobody tells who reads what is committed;
    /// so they count from the first look that found them.
    pub fn look_behind_the_end(&mut self, is_hidden: bool, now: Millis) {
        self.hidden_since = match self.hidden_since {
            _ if !is_hidden => 0,
            0 => now,
            since => since,
        };
    }

    /// Nothing was read that follows upon what is done with.
    pub fn is_at_end(&self) -> bool {
        self.is_known && !self.has_more
    }

    /// What is to be told, if that is something else than the last time: since when the oldest record has waited, 0 where none does, and
    /// nothing where nobody knows.
    pub fn news(&mut self) -> Option<Option<Millis>> {
        let now = self.is_known.then(|| self.since());
        (std::mem::replace(&mut self.told, now) != now).then_some(now)
    }

    fn since(&self) -> Millis {
        match (self.oldest, self.hidden_since) {
            (0, hidden) => hidden,
            (oldest, _) => oldest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(unread: &mut Unread) -> Option<Millis> {
        unread.news();
        unread.told
    }

    #[test]
    fn nothing_is_said_before_anything_is_known_and_nothing_twice() {
        let mut unread = Unread::default();
        assert_eq!(unread.news(), None);
        unread.end();
        assert_eq!(unread.news(), Some(Some(0)), "nothing waits");
        unread.end();
        assert_eq!(unread.news(), None);
    }

    #[test]
    fn the_oldest_that_is_not_committed_counts() {
        let mut unread = Unread::default();
        unread.read(5);
        unread.read(7);
        assert_eq!(told(&mut unread), Some(5));
        assert_eq!(unread.in_hand(), Some(5));
        unread.done();
        assert_eq!(told(&mut unread), Some(7), "what follows is no older");
        assert_eq!(unread.in_hand(), None, "but it is not read yet");
        unread.read(9);
        assert_eq!(told(&mut unread), Some(9));
        assert_eq!(unread.in_hand(), Some(9));
        unread.end();
        assert_eq!(told(&mut unread), Some(9), "it is read, but not done with");
        unread.done();
        assert_eq!(told(&mut unread), Some(0));
    }

    #[test]
    fn the_end_behind_a_mark_is_the_end() {
        let mut unread = Unread::default();
        unread.read(5);
        unread.done();
        assert_eq!(told(&mut unread), Some(5), "something follows, and it may be a record");
        assert!(!unread.is_at_end());
        unread.end();
        assert!(unread.is_at_end());
        assert_eq!(told(&mut unread), Some(0), "it was the mark of a transaction");
    }

    #[test]
    fn what_an_open_transaction_hides_waits_from_the_first_look_on() {
        let mut unread = Unread::default();
        unread.end();
        for (is_hidden, now, since) in [(true, 100, 100), (true, 200, 100), (false, 300, 0), (true, 400, 400)] {
            unread.look_behind_the_end(is_hidden, now);
            assert_eq!(told(&mut unread), Some(since));
        }
        unread.read(350);
        assert_eq!(told(&mut unread), Some(350), "who reads it knows better");
    }

    #[test]
    fn what_is_dropped_waits_on_until_something_is_known_again() {
        let mut unread = Unread::default();
        unread.read(5);
        unread.read(6);
        unread.dropped();
        unread.done();
        assert_eq!(told(&mut unread), Some(5), "what was committed since was of others");
        unread.read(5);
        unread.end();
        unread.done();
        unread.dropped();
        assert_eq!(told(&mut unread), None, "nobody looks there now");
        unread.read(5);
        unread.dropped();
        unread.end();
        assert_eq!(told(&mut unread), Some(0), "it had been committed after all");
    }
}
