//! What must hold after every crash.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{Customer, Feedback, Input, Journal, Revoke, Send, Status, encode};
use system_tests::changelog::Changelog;
use system_tests::installation::Installation;

use crate::fold::fold;
use crate::story::CUSTOMERS;

/// What a worker may say became of a command.
const OUTCOMES: [Status; 5] = [Status::Accepted, Status::Refused, Status::Unknown, Status::Expired, Status::Revoked];

/// Every record of the shop is in the input exactly once; rows, commands, withdrawals and journal are those that the brain
/// makes of the input, none lost and none doubled; and every command has an outcome.
#[track_caller]
pub fn assert_exactly_once(cascade: &Installation) {
    assert_input_is_complete(cascade);
    let changelog = Changelog::read(cascade.place.brokers(), &cascade.topics.changelog());
    changelog.assert_sound();
    let account = fold(cascade, &changelog);
    let rows = changelog.rows().into_iter().map(|(key, row)| (String::from_utf8(key).expect("keys are text"), row));
    assert_same_rows(&account.rows, &rows.collect());
    let (published, decided) = (sorted(&cascade.sends()), sorted(&account.sends));
    assert_eq!(published.len(), decided.len(), "commands that were published, and commands that were decided");
    assert_eq!(published.iter().collect::<BTreeSet<_>>().len(), published.len(), "a command was published twice");
    assert!(published == decided, "other commands were published than were decided");
    assert!(published.len() > CUSTOMERS.count(), "more than the first step went out");
    let mut revoked: Vec<String> = read(cascade, &cascade.topics.revoke(), |revoke: Revoke| revoke.send_id);
    let mut withdrawn = account.revoked;
    revoked.sort();
    withdrawn.sort();
    assert_eq!(revoked, withdrawn, "withdrawals");
    let journal: Vec<Journal> = read(cascade, &cascade.topics.journal(), |journal| journal);
    assert_eq!(journal.len(), account.journal.len(), "entries of the journal");
    assert!(sorted(&journal) == sorted(&account.journal), "the journal tells another story");
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
fn assert_same_rows(folded: &BTreeMap<String, Customer>, kept: &BTreeMap<String, Vec<u8>>) {
    assert!(folded.keys().eq(kept.keys()), "{} customers are known, {} should be", kept.len(), folded.len());
    for (customer, row) in folded {
        let kept = &kept[customer];
        if encode(row) != *kept {
            let kept: Customer = schemas::decode(kept).expect("a row can be read");
            panic!("{customer} is kept as\n{kept:?}\nand should be\n{row:?}");
        }
    }
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
    read(cascade, &cascade.topics.feedback(), |told: Feedback| (told.send_id.expect("it is about a send"), told.status))
}

fn read<T: schemas::Record, U>(cascade: &Installation, topic: &str, part: impl Fn(T) -> U) -> Vec<U> {
    cascade.read(topic).iter().map(|message| part(message.decode())).collect()
}

fn sorted<T: schemas::Record>(records: &[T]) -> Vec<Vec<u8>> {
    let mut bytes: Vec<_> = records.iter().map(encode).collect();
    bytes.sort();
    bytes
}
