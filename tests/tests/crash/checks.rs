//! What must hold after every crash.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{Feedback, Input, Send, Status};
use system_tests::installation::Installation;

use crate::story::CUSTOMERS;

/// What a worker may say became of a command.
const OUTCOMES: [Status; 5] = [Status::Accepted, Status::Refused, Status::Unknown, Status::Expired, Status::Revoked];

/// Every record of the shop is in the input exactly once; rows, commands, withdrawals and journal are those that the brain
/// makes of the input, none lost and none doubled; and every command has an outcome.
#[track_caller]
pub fn assert_exactly_once(cascade: &Installation) {
    assert_input_is_complete(cascade);
    let account = cascade.assert_equal_to_a_fold();
    assert_eq!(account.unseen(), None, "never seen by the operator");
    assert!(account.sends.len() > CUSTOMERS.count(), "more than the first step went out");
    assert_each_has_one_outcome(cascade);
}

/// Nobody was handed a message twice, but on these channels, whose policy says so. Whatever was accepted has arrived.
#[track_caller]
pub fn assert_each_handed_over_once(cascade: &Installation, may_repeat: &[&str]) {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for handed in cascade.providers.handed() {
        let times = times.entry(handed.send_id.clone()).or_default();
        *times += 1;
        let repeats = may_repeat.contains(&handed.channel.as_str());
        assert!(*times == 1 || repeats, "{} was handed over to {} twice", handed.send_id, handed.channel);
    }
    for (send_id, outcomes) in outcomes(cascade) {
        let is_accepted = outcomes.contains(&Status::Accepted);
        assert!(!is_accepted || times.contains_key(&send_id), "{send_id} was accepted, but nobody has it");
    }
}

/// Each of these (send id, status) is in `feedback`.
#[track_caller]
pub fn assert_told(cascade: &Installation, acknowledged: &BTreeSet<(String, Status)>) {
    let told: BTreeSet<(String, Status)> = feedback(cascade).into_iter().collect();
    let lost: Vec<_> = acknowledged.difference(&told).collect();
    assert!(lost.is_empty(), "acknowledged, but not published: {lost:?}");
}

#[track_caller]
fn assert_input_is_complete(cascade: &Installation) {
    let mut wanted = BTreeSet::new();
    for (topic, _) in cascade.topics.sources() {
        wanted
            .extend(cascade.read(&topic).into_iter().map(|message| (topic.clone(), message.partition, message.offset)));
    }
    let mut found = BTreeSet::new();
    for message in cascade.read(&cascade.topics.input()).into_iter().filter(|message| !message.key.is_empty()) {
        let origin = message.decode::<Input>().origin;
        let place = (origin.topic, origin.partition, origin.offset);
        assert!(wanted.contains(&place), "{place:?} is no record of a source");
        assert!(found.insert(place.clone()), "{place:?} is in the input twice");
    }
    assert_eq!(wanted.difference(&found).next(), None, "lost on the way into the input");
}

#[track_caller]
fn assert_each_has_one_outcome(cascade: &Installation) {
    let outcomes = outcomes(cascade);
    for Send { send_id, channel, .. } in cascade.sends() {
        let of_this = outcomes.get(&send_id).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(of_this.len(), 1, "{send_id} on {channel} ended in {of_this:?}");
    }
}

fn outcomes(cascade: &Installation) -> BTreeMap<String, Vec<Status>> {
    let mut outcomes: BTreeMap<String, Vec<Status>> = BTreeMap::new();
    for (send_id, status) in feedback(cascade) {
        if OUTCOMES.contains(&status) {
            outcomes.entry(send_id).or_default().push(status);
        }
    }
    outcomes
}

fn feedback(cascade: &Installation) -> Vec<(String, Status)> {
    let all = cascade.read(&cascade.topics.feedback());
    let told = all.iter().map(|record| record.decode::<Feedback>());
    told.map(|told| (told.send_id.expect("it is about a send"), told.status)).collect()
}
