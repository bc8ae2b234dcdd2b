//! Selecting letters and giving them back, without Kafka.

use schemas::dead_letter;

use super::letter::{Filter, Keep, Letter, Selection};
use super::profiles::{Newest, is_overtaken};
use super::redrive::{batches, obstacle_of, revived, undone};
use super::release::{customers, done_with};

fn select(records: Vec<Letter>, filter: &Filter) -> Vec<Letter> {
    let mut selection = Selection::new(filter, Keep::Values);
    records.into_iter().for_each(|record| selection.take(record));
    selection.finish()
}

fn letter(offset: i64, headers: &[(&str, &str)]) -> Letter {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Letter {
        place: (1, offset),
        at: offset * 1000,
        key: Some(b"c1".to_vec()),
        value: Some(vec![1]),
        size: 1,
        headers,
        done: None,
    }
}

fn refused(offset: i64, code: &str) -> Letter {
    letter(
        offset,
        &[("mine", "kept"), (dead_letter::CODE, code), (dead_letter::STAGE, "intake"), (dead_letter::TOPIC, "cart")],
    )
}

fn offsets(letters: &[Letter]) -> Vec<i64> {
    letters.iter().map(|letter| letter.place.1).collect()
}

#[test]
fn everything_that_is_said_must_fit_and_the_oldest_comes_first() {
    let records = vec![refused(1, "bad_datum"), refused(2, "no_value"), refused(3, "bad_datum")];
    let by = |filter: Filter| offsets(&select(records.clone(), &filter));
    assert_eq!(by(Filter::default()), [1, 2, 3]);
    assert_eq!(by(Filter { code: Some("bad_datum".to_owned()), ..Filter::default() }), [1, 3]);
    let since = jiff::Timestamp::from_millisecond(3000).ok();
    assert_eq!(by(Filter { since, code: Some("bad_datum".to_owned()), ..Filter::default() }), [3]);
    let until = jiff::Timestamp::from_millisecond(3000).ok();
    assert_eq!(by(Filter { until, ..Filter::default() }), [1, 2]);
    assert_eq!(by(Filter { places: vec!["1/2".parse().unwrap()], ..Filter::default() }), [2]);
    assert_eq!(by(Filter { customer: Some("c2".to_owned()), ..Filter::default() }), [0; 0]);
    assert_eq!(by(Filter { from: Some("profile".to_owned()), ..Filter::default() }), [0; 0]);
}

#[test]
fn what_is_done_with_is_shown_only_to_those_who_ask() {
    let records = vec![
        refused(1, "no_value"),
        refused(2, "no_value"),
        letter(3, &[(dead_letter::DONE_WITH, "1/1"), (dead_letter::DONE, "redriven")]),
    ];
    assert_eq!(offsets(&select(records.clone(), &Filter::default())), [2]);
    let all = select(records, &Filter { all: true, ..Filter::default() });
    assert_eq!(offsets(&all), [1, 2]);
    assert_eq!(all[0].done.as_deref(), Some("redriven"));
}

#[test]
fn what_went_back_goes_back_no_second_time_and_is_not_said_to_be_dropped() {
    let done = |offset, with: &str, done| letter(offset, &[(dead_letter::DONE_WITH, with), (dead_letter::DONE, done)]);
    let records = vec![
        refused(1, "no_value"),
        refused(2, "no_value"),
        refused(3, "no_value"),
        done(4, "1/1", "redriven"),
        done(5, "1/2", "dropped"),
        refused(6, "no_value"),
        // Of a copied topic: they were about others.
        done(7, "1/9", "redriven"),
        done(8, "0/3", "redriven"),
        refused(9, "no_value"),
    ];
    let sources = ["cart".to_owned()];
    let all = select(records, &Filter { all: true, ..Filter::default() });
    let obstacles = all.iter().map(|letter| obstacle_of(letter, &sources, 3).is_some()).collect::<Vec<_>>();
    assert_eq!((offsets(&all), obstacles), (vec![1, 2, 3, 6, 9], vec![true, false, false, false, false]));
    let (open, done) = undone(all);
    assert_eq!((offsets(&open), offsets(&done)), (vec![3, 6, 9], vec![1, 2]));
}

#[test]
fn a_producer_cannot_write_a_note() {
    let forged = [("cascade.done.with", "1/1"), ("cascade.done", "dropped"), (dead_letter::CODE, "no_value")];
    let records = vec![refused(1, "no_value"), letter(2, &forged)];
    assert_eq!(offsets(&select(records, &Filter::default())), [1, 2]);
}

#[test]
fn a_transaction_takes_neither_too_many_letters_nor_too_much() {
    let sizes = |letters: &[Letter]| batches(letters).iter().map(|batch| batch.len()).collect::<Vec<_>>();
    assert_eq!(sizes(&vec![refused(1, "no_value"); 1_200]), [500, 500, 200]);
    assert_eq!(sizes(&[]), [0; 0]);
    let large = Letter { size: 5 << 20, ..refused(1, "no_value") };
    assert_eq!(sizes(&[refused(1, "no_value"), large.clone(), large.clone()]), [2, 1]);
    assert_eq!(sizes(&[Letter { size: 9 << 20, ..large }, refused(2, "no_value")]), [1, 1]);
}

#[test]
fn a_letter_goes_back_as_it_came_and_is_counted() {
    let first = refused(1, "no_value");
    let headers = revived(&first);
    assert_eq!(headers, [("mine".to_owned(), b"kept".to_vec()), (dead_letter::REDRIVEN.to_owned(), b"1".to_vec())]);
    let again = Letter { headers: [headers, first.headers].concat(), ..first };
    assert_eq!(again.redriven(), 1);
    let headers = revived(&again);
    assert_eq!(headers.last().unwrap().1, b"2");
    assert_eq!(headers.iter().filter(|(name, _)| name == dead_letter::REDRIVEN).count(), 1);
}

#[test]
fn a_loop_ends_and_nobody_writes_where_one_service_alone_may() {
    let sources = ["cart".to_owned()];
    assert_eq!(obstacle_of(&refused(1, "no_value"), &sources, 3), None);
    let often = letter(1, &[(dead_letter::TOPIC, "cart"), (dead_letter::REDRIVEN, "3")]);
    assert!(obstacle_of(&often, &sources, 3).unwrap().contains("came back"));
    assert_eq!(obstacle_of(&often, &sources, 4), None);
    let half = letter(
        1,
        &[
            (dead_letter::TOPIC, "cart"),
            (dead_letter::PARTITION, "0"),
            (dead_letter::OFFSET, "7"),
            (dead_letter::OMITTED, "12000000"),
        ],
    );
    // A tombstone would be erasure.
    assert!(obstacle_of(&half, &sources, 3).unwrap().contains("12000000 bytes stayed in cart, at 0/7"));
    let command = letter(1, &[(dead_letter::TOPIC, "send.sms")]);
    assert!(obstacle_of(&command, &sources, 3).unwrap().contains("send.sms"));
}

#[test]
fn a_place_is_read_as_it_is_shown() {
    let place: super::letter::Place = "3/17".parse().unwrap();
    assert_eq!((place.to_string(), place.partition, place.offset), ("3/17".to_owned(), 3, 17));
    assert!("3".parse::<super::letter::Place>().is_err() && "a/b".parse::<super::letter::Place>().is_err());
}

#[test]
fn letters_of_one_customer_keep_their_order_whatever_a_clock_says() {
    let at = |partition, offset, at| Letter { place: (partition, offset), at, ..refused(offset, "no_value") };
    // Partition 0 has a new leader, whose clock is behind.
    let found = select(
        vec![at(0, 1, 5_000), at(0, 2, 4_000), at(0, 3, 7_000), at(1, 1, 4_500), at(1, 2, 6_000)],
        &Filter::default(),
    );
    let places: Vec<_> = found.iter().map(|letter| letter.place).collect();
    assert_eq!(places, [(1, 1), (0, 1), (0, 2), (1, 2), (0, 3)]);
}

#[test]
fn a_profile_stays_where_a_newer_one_stands() {
    let from = |partition: &str, offset: &str| {
        letter(
            1,
            &[(dead_letter::TOPIC, "profile"), (dead_letter::PARTITION, partition), (dead_letter::OFFSET, offset)],
        )
    };
    let newest: Newest = [(b"c1".to_vec(), [(0, 7)].into())].into();
    assert!(is_overtaken(&from("0", "6"), &newest));
    assert!(!is_overtaken(&from("0", "7"), &newest));
    // Partitions were added: what stands where the key belongs now came later.
    assert!(is_overtaken(&from("1", "9"), &newest));
    assert!(!is_overtaken(&Letter { key: Some(b"c2".to_vec()), ..from("0", "6") }, &newest));
}

#[test]
fn each_customer_of_the_letters_is_released_once() {
    let of = |key: &[u8]| Letter { key: Some(key.to_vec()), ..refused(1, "no_value") };
    let letters = [of(b"c2"), of(b"c1"), of(b"c2"), of(b""), of(b"\xff"), Letter { key: None, ..of(b"") }];
    assert_eq!(customers(&letters), ["c2", "c1"]);
    let done = |key| Letter { done: Some("redriven".to_owned()), ..of(key) };
    let mixed = || vec![done(b"c1"), of(b"c2"), done(b"c2"), done(b"c3")];
    assert_eq!(customers(&done_with(mixed())), ["c1", "c3"], "a letter of c2 still waits");
    assert_eq!(customers(&mixed()), ["c1", "c2", "c3"]);
    let alone = Filter { customer: Some("c1".to_owned()), ..Filter::default() };
    assert_eq!(alone.customer_alone(), Some("c1"));
    assert_eq!(Filter { limit: Some(3), ..alone }.customer_alone(), None);
}

#[test]
fn of_very_many_no_more_is_held_than_where_they_came_from() {
    let filter = Filter::default();
    let mut selection = Selection::new(&filter, Keep::Origins);
    selection.take(refused(1, "no_value"));
    let names: Vec<String> = selection.finish()[0].headers.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, [dead_letter::TOPIC]);
}
