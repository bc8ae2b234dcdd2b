//! Messages of one kind to one destination, that are left alone while the provider does not take just these.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use schemas::Send;
use stream::clock::Tick;
use xxhash_rust::xxh3::Xxh3;

use crate::breaker::Breaker;
use crate::transport::Answer;

/// Digits of a number that name its destination: country and operator, as far as digits can tell.
const DIGITS: usize = 5;

/// More are forgotten, all at once: they are learnt again by five messages each.
const MOST: usize = 10_000;

/// Those of which the last message was not taken. None is written down by its address.
#[derive(Debug, Default)]
pub(crate) struct Groups(HashMap<u64, Breaker>);

impl Groups {
    /// The group of a message; none as long as all are taken, so that nobody asks who has none.
    pub(crate) fn of(&self, send: &Send) -> Option<u64> {
        (!self.0.is_empty()).then(|| Groups::named(send))
    }

    /// The group of a message: its template, and the domain of a mail address or the first digits of a number.
    fn named(send: &Send) -> u64 {
        let mut hasher = Xxh3::new();
        send.template.hash(&mut hasher);
        match send.address.rsplit_once('@') {
            Some((_, domain)) => domain.to_lowercase().hash(&mut hasher),
            None => {
                let number = send.address.strip_prefix('+').unwrap_or(&send.address);
                let digits = number.bytes().take_while(u8::is_ascii_digit).take(DIGITS);
                digits.collect::<Vec<u8>>().hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Whether a message of the group may go out now.
    pub(crate) fn admits(&self, group: Option<u64>, now: Tick) -> bool {
        self.breaker(group).is_none_or(|breaker| breaker.admits(0, 1, now) > 0)
    }

    /// Whether the latest messages of the group were not taken.
    pub(crate) fn is_left_alone(&self, group: Option<u64>) -> bool {
        self.breaker(group).is_some_and(Breaker::is_open)
    }

    fn breaker(&self, group: Option<u64>) -> Option<&Breaker> {
        group.and_then(|group| self.0.get(&group))
    }

    /// One goes out. A group that was left alone is tried with just that one, until the next pause is over.
    pub(crate) fn goes(&mut self, group: Option<u64>, now: Tick) {
        let breaker = group.and_then(|group| self.0.get_mut(&group));
        if let Some(breaker) = breaker.filter(|breaker| breaker.is_open()) {
            breaker.tried(now);
        }
    }

    /// Learns what an answer to a message says of its group. A pause that the provider asks for is one of the whole channel, and an answer that does not
    /// come says something of the route that was taken, and nothing of the destination: another route may take it.
    pub(crate) fn learn(&mut self, send: &Send, answer: &Answer, now: Tick) {
        match answer {
            Answer::Accepted { .. } | Answer::Refused { .. } | Answer::NobodyThere { .. } => {
                self.of(send).into_iter().for_each(|group| _ = self.0.remove(&group));
            }
            Answer::NotTaken { retry_after: None, .. } => {
                let group = Groups::named(send);
                if self.0.len() >= MOST && !self.0.contains_key(&group) {
                    self.0.clear();
                }
                self.0.entry(group).or_default().learn(answer, now);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_group_is_a_template_and_where_it_goes() {
        let of = |template: &str, address: &str| {
            Groups::named(&Send { template: template.to_owned(), address: address.to_owned(), ..Send::default() })
        };
        assert_eq!(of("a", "+79110000001"), of("a", "79110999999"));
        assert_eq!(of("a", "x@Shop.example"), of("a", "y@shop.example"));
        assert_eq!(of("a", "token-1"), of("a", "other"));
        assert_ne!(of("a", "+79110000001"), of("b", "+79110000001"));
        assert_ne!(of("a", "+79110000001"), of("a", "+79220000001"));
        assert_ne!(of("a", "x@shop.example"), of("a", "x@mail.example"));
    }

    #[test]
    fn a_group_that_is_not_taken_is_left_alone_and_tried_with_one() {
        let (mut groups, now) = (Groups::default(), Tick::now());
        let send = Send::default();
        let (one, other) = (Some(Groups::named(&send)), Some(2));
        let not_taken = Answer::NotTaken { code: "http_403".to_owned(), retry_after: None };
        for _ in 0..5 {
            assert!(groups.admits(one, now));
            groups.learn(&send, &not_taken, now);
        }
        assert!(!groups.admits(one, now) && groups.admits(other, now));
        let later = now.after(Duration::from_secs(1));
        assert!(groups.admits(one, later));
        groups.goes(one, later);
        assert!(!groups.admits(one, later), "one of them");
        groups.learn(&send, &Answer::taken(None), later);
        groups.goes(one, later);
        assert!(groups.admits(one, later) && groups.0.is_empty());
        let silence = Answer::Unknown { code: "timeout".to_owned() };
        (0..9).for_each(|_| groups.learn(&send, &silence, later));
        assert!(groups.admits(one, later), "that is the route's");
        let pause = Answer::NotTaken { code: "http_429".to_owned(), retry_after: Some(Duration::from_secs(9)) };
        groups.learn(&send, &pause, later);
        assert!(groups.admits(one, later), "that is for all, and so for the provider's own");
    }
}
