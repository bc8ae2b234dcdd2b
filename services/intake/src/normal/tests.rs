//! Tables of what is taken in and what is refused, and the property that nothing else can happen.

use proptest::prelude::*;
use schemas::{Consent, Contact, DecodeError, Item, encode};

use super::*;
use crate::CODES;

const NOON: i64 = 1_767_268_800_000;

fn cart() -> Cart {
    Cart {
        event_id: "e-1".into(),
        customer_id: "c-1".into(),
        occurred_at: NOON,
        cart_id: "cart-1".into(),
        version: 1,
        total_minor: 4_990,
        currency: "EUR".into(),
        items: vec![Item { sku: "s".into(), category: String::new(), quantity: 1, price_minor: 4_990 }],
        link: None,
    }
}

fn registration() -> Registration {
    Registration { event_id: "e-1".into(), customer_id: "c-1".into(), occurred_at: NOON, ..Registration::default() }
}

fn inactivity() -> Inactivity {
    Inactivity {
        event_id: "e-1".into(),
        customer_id: "c-1".into(),
        occurred_at: NOON,
        days: 30,
        ..Inactivity::default()
    }
}

fn action() -> Action {
    let (event_id, customer_id, action) = ("e-1".into(), "c-1".into(), "purchase".into());
    Action { event_id, customer_id, occurred_at: NOON, action, ..Action::default() }
}

fn profile() -> Profile {
    Profile {
        event_id: "e-1".into(),
        customer_id: "c-1".into(),
        occurred_at: NOON,
        contacts: vec![Contact { channel: "email".into(), address: "a@example.com".into() }],
        consents: vec![Consent { channel: "email".into(), granted: true, at: NOON, ..Consent::default() }],
        ..Profile::default()
    }
}

fn feedback() -> Feedback {
    Feedback {
        event_id: "e-1".into(),
        customer_id: "c-1".into(),
        occurred_at: NOON,
        send_id: Some("8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e".into()),
        channel: "sms".into(),
        ..Feedback::default()
    }
}

fn source<'a>(kind: Kind, key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Source<'a> {
    Source { kind, topic: "shop.t", partition: 2, offset: 7, appended_at: NOON + 5, key, value }
}

fn taken(kind: Kind, value: &[u8]) -> Normal {
    normalize(&source(kind, Some(b"c-1"), Some(value)), &Ids::new()).unwrap()
}

fn refused(kind: Kind, key: Option<&[u8]>, value: Option<&[u8]>) -> (&'static str, Option<String>) {
    let reject = normalize(&source(kind, key, value), &Ids::new()).unwrap_err();
    assert!(!reject.message.is_empty());
    (reject.code, reject.customer)
}

#[test]
fn every_kind_of_record_becomes_its_fact_with_its_origin() {
    let table = [
        (Kind::Cart, encode(&cart()), Fact::Cart(cart())),
        (Kind::Registration, encode(&registration()), Fact::Registration(registration())),
        (Kind::Inactivity, encode(&inactivity()), Fact::Inactivity(inactivity())),
        (Kind::Action, encode(&action()), Fact::Action(action())),
        (Kind::Profile, encode(&profile()), Fact::Profile(profile())),
        (Kind::Feedback, encode(&feedback()), Fact::Feedback(feedback())),
    ];
    for (kind, value, fact) in table {
        let origin = Origin { topic: "shop.t".into(), partition: 2, offset: 7, appended_at: NOON + 5 };
        assert_eq!(taken(kind, &value), Normal { customer_id: "c-1".into(), input: Input { origin, fact, hops: 0 } });
        assert_eq!(Kind::of(kind.record()), Some(kind));
    }
}

#[test]
fn the_customer_is_whom_the_record_names_whatever_the_key_says() {
    for key in [None, Some(b"cart-1".as_slice()), Some(&[0xff])] {
        let value = encode(&cart());
        let normal = normalize(&source(Kind::Cart, key, Some(&value)), &Ids::new()).unwrap();
        assert_eq!(normal.customer_id, "c-1");
    }
}

#[test]
fn values_that_would_do_harm_are_refused_with_their_code_and_their_customer() {
    let long = || "x".repeat(257);
    let minus = Item { quantity: -1, ..Item::default() };
    let email = |address: &str| Contact { channel: "email".into(), address: address.into() };
    let table = [
        ("field_empty", Kind::Cart, encode(&Cart { event_id: String::new(), ..cart() })),
        ("field_too_long", Kind::Cart, encode(&Cart { event_id: long(), ..cart() })),
        ("field_empty", Kind::Cart, encode(&Cart { cart_id: String::new(), ..cart() })),
        ("time_out_of_range", Kind::Cart, encode(&Cart { occurred_at: 0, ..cart() })),
        ("time_out_of_range", Kind::Registration, encode(&Registration { occurred_at: -1, ..registration() })),
        ("time_out_of_range", Kind::Registration, encode(&Registration { occurred_at: i64::MAX, ..registration() })),
        ("amount_out_of_range", Kind::Cart, encode(&Cart { total_minor: -1, ..cart() })),
        ("amount_out_of_range", Kind::Cart, encode(&Cart { items: vec![minus], ..cart() })),
        ("time_out_of_range", Kind::Inactivity, encode(&Inactivity { since: -1, ..inactivity() })),
        ("amount_out_of_range", Kind::Inactivity, encode(&Inactivity { days: -1, ..inactivity() })),
        ("field_empty", Kind::Action, encode(&Action { action: String::new(), ..action() })),
        ("field_too_long", Kind::Action, encode(&Action { key: Some(long()), ..action() })),
        ("amount_out_of_range", Kind::Action, encode(&Action { amount_minor: i64::MAX, ..action() })),
        ("channel_twice", Kind::Profile, encode(&Profile { contacts: vec![email("a"), email("b")], ..profile() })),
        ("field_empty", Kind::Profile, encode(&Profile { consents: vec![Consent::default()], ..profile() })),
        ("field_invalid", Kind::Profile, encode(&Profile { formerly: vec!["\u{1}budget/sms".into()], ..profile() })),
        ("field_empty", Kind::Feedback, encode(&Feedback { channel: String::new(), ..feedback() })),
        ("field_invalid", Kind::Feedback, encode(&Feedback { send_id: Some("7".into()), ..feedback() })),
    ];
    for (code, kind, value) in table {
        assert_eq!(refused(kind, None, Some(&value)), (code, Some("c-1".into())), "{kind:?}");
    }
}

#[test]
fn without_a_usable_customer_id_in_the_record_the_key_says_who_is_held() {
    for (code, customer_id) in
        [("field_empty", String::new()), ("field_too_long", "x".repeat(257)), ("field_invalid", "a\0b".to_owned())]
    {
        let value = encode(&Cart { customer_id, ..cart() });
        assert_eq!(refused(Kind::Cart, Some(b"c-2"), Some(&value)), (code, Some("c-2".into())));
        assert_eq!(refused(Kind::Cart, None, Some(&value)), (code, None));
    }
}

#[test]
fn bytes_that_cannot_be_read_keep_the_code_of_the_codec() {
    let cut = encode(&cart());
    let table: [(&str, &[u8]); 5] = [
        ("not_framed", b"{\"event_id\":1}"),
        ("unknown_schema", &[0, 0, 0, 0, 7, 1, 2]),
        ("wrong_record", &encode(&action())),
        ("bad_datum", &cut[..cut.len() - 3]),
        ("trailing_bytes", &[cut.as_slice(), b"x"].concat()),
    ];
    for (code, value) in table {
        assert_eq!(refused(Kind::Cart, Some(b"c-1"), Some(value)), (code, Some("c-1".into())));
        assert_eq!(refused(Kind::Cart, Some(&[0xff, 0xfe]), Some(value)), (code, None));
    }
    let large = vec![0; SOURCE_BYTES_MAX + 1];
    assert_eq!(refused(Kind::Cart, None, Some(&large)), ("too_large", None));
}

#[test]
fn every_code_of_the_codec_is_documented() {
    let errors = [
        DecodeError::NotFramed,
        DecodeError::TooLarge { bytes: 1 },
        DecodeError::UnknownSchema { id: 1 },
        DecodeError::WrongRecord { id: 1, found: "", wanted: "" },
        DecodeError::BadDatum { at: 1 },
        DecodeError::TrailingBytes { at: 1 },
    ];
    for error in errors {
        assert!(CODES.iter().any(|(code, _)| *code == error.code()), "{}", error.code());
        assert_eq!(Reject::from(error).class(), "cascade.Undecodable");
    }
}

#[test]
fn a_tombstone_erases_a_profile_and_means_nothing_elsewhere() {
    let normal = normalize(&source(Kind::Profile, Some(b"c-1"), None), &Ids::new()).unwrap();
    let Fact::Profile(profile) = normal.input.fact else { panic!("not a profile") };
    assert!(profile.erased);
    assert_eq!((profile.customer_id.as_str(), profile.event_id.as_str()), ("c-1", "tombstone/shop.t/2/7"));
    assert_eq!(refused(Kind::Profile, None, None), ("field_invalid", None));
    assert_eq!(refused(Kind::Cart, Some(b"c-1"), None), ("no_value", Some("c-1".into())));
}

#[test]
fn a_contact_without_an_address_is_left_out() {
    let mut given = profile();
    given.contacts.push(Contact { channel: "sms".into(), address: " ".into() });
    assert_eq!(taken(Kind::Profile, &encode(&given)).input.fact, Fact::Profile(profile()));
}

/// Bytes as they come: anything, and valid records with some bytes changed.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let valid = prop_oneof![
        Just(encode(&cart())),
        Just(encode(&registration())),
        Just(encode(&inactivity())),
        Just(encode(&action())),
        Just(encode(&profile())),
        Just(encode(&feedback())),
    ];
    let changed = (valid, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)).prop_map(
        |(mut bytes, changes)| {
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        },
    );
    prop_oneof![prop::collection::vec(any::<u8>(), 0..64), changed]
}

proptest! {
    #[test]
    fn whatever_comes_is_taken_in_or_refused_with_a_documented_code(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        key in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
        value in prop::option::of(bytes()),
    ) {
        let source = source(kind, key.as_deref(), value.as_deref());
        match normalize(&source, &Ids::new()) {
            Ok(normal) => {
                prop_assert!(check::customer(&normal.customer_id).is_ok());
                prop_assert_eq!(schemas::decode::<Input>(&encode(&normal.input)), Ok(normal.input));
            }
            Err(reject) => {
                prop_assert!(CODES.iter().any(|(code, _)| *code == reject.code), "{}", reject.code);
                prop_assert!(reject.customer.iter().all(|customer| check::customer(customer).is_ok()));
            }
        }
    }
}
