//! A provider that is down is left alone for a while. Nothing is dropped meanwhile: commands wait, or expire.

use std::time::Duration;

use stream::clock::Tick;

use crate::transport::Answer;

/// So many failures in a row, and the provider counts as down.
const FAILURES: u32 = 5;

/// It is left alone so long, then twice as long, and so on up to the last.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// For so long after an answer, a message that was not taken before says nothing of the provider when it is not taken again: it is the
/// message, or where it goes to. As long as the longest pause between two of its calls, so that in an outage it counts again.
const PROVEN: Duration = Duration::from_secs(30);

/// Closed (all calls), open (none), half open (one, whose answer decides).
#[derive(Debug)]
pub struct Breaker {
    failures: u32,
    pause: Duration,
    open_until: Option<Tick>,
    /// When the provider last said anything of a message.
    answered_at: Option<Tick>,
}

impl Default for Breaker {
    fn default() -> Self {
        Breaker { failures: 0, pause: PAUSE.0, open_until: None, answered_at: None }
    }
}

impl Breaker {
    /// How many calls may begin now, with `out` under way.
    pub fn admits(&self, out: usize, limit: usize, now: Tick) -> usize {
        match self.open_until {
            Some(until) if now < until => 0,
            Some(_) => usize::from(out == 0),
            None => limit.saturating_sub(out),
        }
    }

    /// Whether there was no failure since the last answer.
    pub(crate) fn is_well(&self) -> bool {
        self.failures == 0
    }

    /// Whether calls are held back.
    pub fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    /// Learns from an answer what it says of the provider. What it was not asked says nothing.
    pub(crate) fn learn(&mut self, answer: &Answer, now: Tick) {
        self.learn_of(answer, false, now);
    }

    /// The same; `again` tells that the message was tried before, and not taken.
    pub(crate) fn learn_of(&mut self, answer: &Answer, again: bool, now: Tick) {
        let is_proven = self.open_until.is_none() && self.answered_at.is_some_and(|at| now < at.after(PROVEN));
        match answer {
            Answer::Accepted { .. } | Answer::Refused { .. } | Answer::NobodyThere { .. } => self.answered(now),
            Answer::NotTaken { retry_after: None, .. } if again && is_proven => {}
            Answer::NotTaken { retry_after, .. } => self.failed(*retry_after, now),
            Answer::Unknown { .. } => self.failed(None, now),
            Answer::Elsewhere { .. } | Answer::Stale | Answer::TooLate | Answer::Unfit { .. } => {}
        }
    }

    /// The provider answered, whatever it said of the message.
    pub fn answered(&mut self, now: Tick) {
        *self = Breaker { answered_at: Some(now), ..Breaker::default() };
    }

    /// The provider took nothing. `asked` is the pause that it asks for.
    pub fn failed(&mut self, asked: Option<Duration>, now: Tick) {
        self.failures += 1;
        // A provider that names a pause means all calls: some block the whole account that does not keep it.
        if let Some(asked) = asked {
            self.open(asked.min(PAUSE.1 * 20), now);
        } else if self.failures >= FAILURES && self.open_until.is_none_or(|until| until <= now) {
            self.open(self.pause, now);
            self.pause = PAUSE.1.min(self.pause * 2);
        }
    }

    /// One call has begun to try it, and no other does before the next pause is over.
    pub(crate) fn tried(&mut self, now: Tick) {
        self.open(self.pause, now);
    }

    fn open(&mut self, pause: Duration, now: Tick) {
        let until = now.after(pause);
        self.open_until = Some(self.open_until.map_or(until, |known| known.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_is_down_is_left_alone_and_then_tried_with_one_call() {
        let (mut breaker, now) = (Breaker::default(), Tick::now());
        (0..FAILURES - 1).for_each(|_| breaker.failed(None, now));
        assert_eq!(breaker.admits(4, 64, now), 60);
        breaker.failed(None, now);
        assert_eq!(breaker.admits(0, 64, now), 0);
        let later = now.after(PAUSE.0);
        assert_eq!((breaker.admits(0, 64, later), breaker.admits(1, 64, later)), (1, 0));
    }

    #[test]
    fn each_failed_trial_doubles_the_pause() {
        let (mut breaker, now) = (Breaker::default(), Tick::now());
        (0..FAILURES).for_each(|_| breaker.failed(None, now));
        let trial = now.after(PAUSE.0);
        breaker.failed(None, trial);
        assert_eq!(breaker.admits(0, 64, trial.after(PAUSE.0)), 0);
        assert_eq!(breaker.admits(0, 64, trial.after(PAUSE.0 * 2)), 1);
    }

    #[test]
    fn calls_that_were_under_way_do_not_prolong_the_pause() {
        let (mut breaker, now) = (Breaker::default(), Tick::now());
        (0..60).for_each(|_| breaker.failed(None, now));
        assert_eq!(breaker.admits(0, 64, now.after(PAUSE.0)), 1);
    }

    #[test]
    fn a_pause_that_the_provider_asks_for_is_kept_from_the_first_word() {
        let (mut breaker, now) = (Breaker::default(), Tick::now());
        breaker.failed(Some(Duration::from_secs(7)), now);
        assert_eq!(breaker.admits(0, 64, now.after(Duration::from_millis(6_999))), 0);
        assert_eq!(breaker.admits(0, 64, now.after(Duration::from_secs(7))), 1);
    }

    #[test]
    fn a_message_that_is_not_taken_again_says_nothing_of_a_provider_that_takes_others() {
        let (mut breaker, now) = (Breaker::default(), Tick::now());
        let not_taken = Answer::NotTaken { code: "http_403".to_owned(), retry_after: None };
        breaker.learn(&Answer::taken(None), now);
        (0..60).for_each(|_| breaker.learn_of(&not_taken, true, now));
        assert!(!breaker.is_open() && breaker.is_well());
        // Nothing was taken for long: it is the provider, after all.
        (0..FAILURES).for_each(|_| breaker.learn_of(&not_taken, true, now.after(PROVEN)));
        assert!(breaker.is_open());
        breaker.learn(&Answer::taken(None), now.after(PROVEN));
        let pause = Answer::NotTaken { code: "http_429".to_owned(), retry_after: Some(PAUSE.0) };
        breaker.learn_of(&pause, true, now.after(PROVEN));
        assert!(breaker.is_open(), "a pause that it asks for is for all");
    }

    #[test]
    fn an_answer_closes_it() {
        let (mut breaker, now) = (Breaker::default(), Tick::now());
        (0..FAILURES).for_each(|_| breaker.failed(None, now));
        breaker.answered(now);
        assert_eq!(breaker.admits(0, 64, now), 64);
    }
}
