//! What a server's policy forbids (5.7.x): spam, a missing signature, a sender that it does not like, or one recipient who takes mail from friends
//! alone. It is never said of the address itself, so no such word ends other messages there; and whether it means us, the domain or this
//! one mail, the word does not say.
//!
//! | the domain of the mail | then |
//! |---|---|
//! | has taken nothing since the start | it is not taken for now, until its validity ends: it would be so for everybody there |
//! | takes others, and this mail has had [`TRIALS`] trials, with [`BETWEEN`] between | this mail is refused |
//! | takes others, but has refused as many in a row as make an outage | not taken for now |
//!
//! Login and encryption (5.7.0, 5.7.8, 5.7.9, 5.7.11) are ours: nothing is refused for them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use stream::clock::Tick;

use crate::transport::heard::ROW;
use crate::transport::{Answer, Message};

/// So many trials a mail has.
const TRIALS: u32 = 3;

/// So long after one the next counts; what is tried meanwhile does not.
const BETWEEN: Duration = Duration::from_secs(60);

/// More domains, and more mails, are not told apart: all are learnt anew.
const MOST: usize = 10_000;

/// What is not about the mail at all: login and encryption.
const OURS: [&str; 4] = ["smtp_5.7.0", "smtp_5.7.8", "smtp_5.7.9", "smtp_5.7.11"];

/// What servers have forbidden.
#[derive(Debug, Default)]
pub(super) struct Policy(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Domains that have taken something, and how many mails were refused there since.
    domains: HashMap<String, u32>,
    /// Mails that were forbidden: how often, and when that counted last.
    trials: HashMap<String, (u32, Tick)>,
}

/// Nothing of it is shown: domains are parts of addresses.
impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Known")
    }
}

impl Policy {
    /// What an answer comes to.
    pub(super) fn judge(&self, message: &Message, answer: Answer, now: Tick) -> Answer {
        let Some((_, domain)) = message.address.rsplit_once('@') else { return answer };
        let domain = domain.to_lowercase();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { domains, trials } = &mut *known;
        match &answer {
            Answer::Accepted { .. } => {
                trials.remove(&message.send_id);
                if domains.len() >= MOST {
                    domains.clear();
                }
                domains.insert(domain, 0);
                answer
            }
            Answer::NotTaken { code, .. } if code.starts_with("smtp_5.7.") && !OURS.contains(&code.as_str()) => {
                if trials.len() >= MOST {
                    trials.clear();
                }
                let (count, last) = trials.entry(message.send_id.clone()).or_insert((0, now));
                if *count == 0 || now >= last.after(BETWEEN) {
                    (*count, *last) = (*count + 1, now);
                }
                match domains.get_mut(&domain).filter(|row| *count >= TRIALS && **row < ROW) {
                    Some(row) => {
                        *row += 1;
                        trials.remove(&message.send_id);
                        Answer::refused(code.clone())
                    }
                    None => answer,
                }
            }
            _ => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::double;

    fn to(send: usize, address: &str) -> Message {
        Message { send_id: send.to_string(), ..double::message(address) }
    }

    fn forbidden() -> Answer {
        Answer::not_taken("smtp_5.7.1")
    }

    /// What comes of so many trials of a mail, each in time.
    fn tried(policy: &Policy, message: &Message, trials: u32, began: Tick) -> Vec<Answer> {
        (0..trials).map(|trial| policy.judge(message, forbidden(), began.after(BETWEEN * trial))).collect()
    }

    #[test]
    fn a_mail_that_its_domain_forbids_is_refused_after_three_trials_if_it_takes_others() {
        let (policy, now) = (Policy::default(), Tick::now());
        assert_eq!(
            tried(&policy, &to(0, "anna@shop.example"), 9, now),
            vec![forbidden(); 9],
            "it has taken nothing yet"
        );
        policy.judge(&to(1, "bob@Shop.example"), Answer::taken(None), now);
        policy.judge(&to(2, "eve@other.example"), forbidden(), now);
        let mail = to(3, "anna@shop.example");
        // What is tried again at once does not count.
        (0..9).for_each(|_| assert_eq!(policy.judge(&mail, forbidden(), now), forbidden()));
        let told = tried(&policy, &mail, 3, now);
        assert_eq!(told, [forbidden(), forbidden(), Answer::refused("smtp_5.7.1")]);
        assert_eq!(tried(&policy, &to(2, "eve@other.example"), 9, now), vec![forbidden(); 9], "another domain");
    }

    #[test]
    fn a_domain_that_has_begun_to_forbid_all_of_us_refuses_a_handful() {
        let (policy, now) = (Policy::default(), Tick::now());
        policy.judge(&to(0, "bob@shop.example"), Answer::taken(None), now);
        let refused = (1..500).filter(|send| {
            tried(&policy, &to(*send, "anna@shop.example"), 5, now).contains(&Answer::refused("smtp_5.7.1"))
        });
        assert_eq!(refused.count(), usize::try_from(ROW).unwrap());
    }

    #[test]
    fn a_login_that_is_wrong_refuses_nothing() {
        let (policy, now) = (Policy::default(), Tick::now());
        let mail = to(1, "bob@shop.example");
        policy.judge(&to(0, "bob@shop.example"), Answer::taken(None), now);
        for code in OURS {
            for trial in 0..9 {
                let answer = policy.judge(&mail, Answer::not_taken(code), now.after(BETWEEN * trial));
                assert_eq!(answer, Answer::not_taken(code));
            }
        }
    }
}
