//! Whatever lies on a topic, decoding ends, and says why; what we wrote, it reads.

mod samples;

use std::fmt::Debug;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use proptest::prelude::*;
use schemas::*;

/// What the library reads, which walks the schema and goes by names.
fn by_the_library<T: Record>(datum: &[u8]) -> Option<T> {
    let schema = Schema::parse_str(T::SCHEMA).unwrap();
    let reader = GenericDatumReader::builder(&schema).human_readable(false).build().unwrap();
    let mut rest = datum;
    reader.read_deser(&mut rest).ok().filter(|_| rest.is_empty())
}

/// Every way to decode these bytes as `T`: framed as T, and as they are. What is read is what the library reads.
fn survive<T: Record + PartialEq + Debug>(datum: &[u8]) {
    let framed = [&[0], T::ID.to_be_bytes().as_slice(), datum].concat();
    match decode::<T>(&framed) {
        Ok(record) => assert_eq!(by_the_library::<T>(datum), Some(record)),
        Err(error) => {
            assert!(!error.code().is_empty());
            assert_eq!(by_the_library::<T>(datum), None, "{error}");
        }
    }
    if let Err(error) = decode::<T>(datum) {
        assert!(!error.code().is_empty());
    }
}

fn survive_as_each(datum: &[u8]) {
    survive::<Cart>(datum);
    survive::<Registration>(datum);
    survive::<Inactivity>(datum);
    survive::<Action>(datum);
    survive::<Profile>(datum);
    survive::<Feedback>(datum);
    survive::<Input>(datum);
    survive::<Customer>(datum);
    survive::<Send>(datum);
    survive::<Revoke>(datum);
    survive::<Attempt>(datum);
    survive::<Reply>(datum);
    survive::<Suppression>(datum);
    survive::<Journal>(datum);
    survive::<Campaign>(datum);
}

/// The golden bytes of each sample.
fn released() -> Vec<Vec<u8>> {
    struct All(Vec<Vec<u8>>);
    impl samples::Visitor for All {
        fn visit<T: Record + PartialEq + Debug>(&mut self, _: &str, record: T) {
            self.0.push(encode(&record));
        }
    }
    let mut all = All(Vec::new());
    samples::each(&mut all);
    all.0
}

/// Anything that a decision may be; sizes and signs are what encodings get wrong.
fn journal() -> impl Strategy<Value = Journal> {
    let texts = proptest::collection::vec(".{0,40}", 6);
    let evidence = proptest::collection::btree_map(".{0,9}", ".{0,9}", 0..80);
    let numbers = any::<(i64, i32, Option<i64>, Option<i64>, i32, Option<i64>, i64)>();
    (texts, evidence, numbers, proptest::sample::select(Reason::ALL)).prop_map(|(texts, evidence, numbers, reason)| {
        let [customer_id, campaign, instance, step, channel, send_id] = <[String; 6]>::try_from(texts).unwrap();
        let (at, partition, offset, due, version, next_at, amount_minor) = numbers;
        Journal {
            customer_id,
            at,
            partition,
            offset,
            due,
            campaign,
            version,
            instance,
            step,
            channel,
            send_id,
            reason,
            next_at,
            amount_minor,
            charged_minor: amount_minor.wrapping_neg(),
            evidence: evidence.into_iter().collect(),
        }
    })
}

/// A row whose times, texts and numbers may be anything.
fn row() -> impl Strategy<Value = Customer> {
    let commands = proptest::collection::vec(
        (any::<[i64; 3]>(), 0..3_i32, -1..3_i32, ".{0,3}|push|sms", any::<Option<i64>>()),
        0..5,
    );
    let names = "occurred_at|version|x|[\u{0}-\u{20}]{0,2}";
    let fields = proptest::collection::btree_map(names, "-?[0-9]{0,20}|.{0,5}", 0..6);
    let marks = proptest::collection::vec(0..1_i64 << 48, 0..5);
    (commands, fields, marks, any::<[i64; 4]>(), any::<Option<i64>>()).prop_map(
        |(commands, fields, recent, times, ceiling)| {
            let mut row = Customer { recent, ..samples::row() };
            let instance = &mut row.instances[0];
            (instance.fields, instance.ceiling) = (fields.into_iter().collect(), ceiling);
            [instance.settled_at, instance.turn, instance.due, instance.tried] = times;
            instance.sends.clear();
            for ([decided_at, send_before, price], number, step, channel, handed_over_at) in commands {
                let attempt = instance.sends.iter().filter(|sent| sent.number == number).count() as i32;
                let (alternative, id) = (0, Id::of_send(instance.id, number, 0, attempt));
                let (reached, failed) = (Status::Unspecified, Status::Unspecified);
                instance.sends.push(Sent {
                    id,
                    step,
                    number,
                    alternative,
                    attempt,
                    channel,
                    price_minor: price & i64::MAX,
                    on_delivery: price < 0,
                    decided_at,
                    send_before,
                    handed_over_at,
                    reached,
                    failed,
                    outcome: Outcome::Unspecified,
                });
            }
            row
        },
    )
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(journal in journal()) {
        let bytes = encode(&journal);
        prop_assert!(by_the_library(&bytes[5..]).as_ref() == Some(&journal));
        prop_assert_eq!(decode(&bytes), Ok(journal));
    }

    #[test]
    fn a_row_is_read_as_it_was_whatever_its_times_are(row in row()) {
        let bytes = encode(&row);
        prop_assert!(by_the_library(&bytes[5..]).as_ref() == Some(&row));
        prop_assert_eq!(decode(&bytes), Ok(row));
    }

    #[test]
    fn arbitrary_bytes_are_survived(datum in proptest::collection::vec(any::<u8>(), 0..300)) {
        survive_as_each(&datum);
    }

    /// Random bytes fail early; good ones with a fault in them get far.
    #[test]
    fn damaged_records_are_survived(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let released = released();
        let mut bytes = which.get(&released).clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        survive_as_each(&bytes);
        survive_as_each(bytes.get(5..).unwrap_or_default());
    }
}

/// The fields of each type stand in the order of its schema: ours goes by their places, the library by their names.
#[test]
fn the_library_reads_each_sample_as_it_is() {
    struct Check;
    impl samples::Visitor for Check {
        fn visit<T: Record + PartialEq + Debug>(&mut self, name: &str, record: T) {
            assert_eq!(by_the_library::<T>(&encode(&record)[5..]), Some(record), "{name}");
        }
    }
    samples::each(&mut Check);
}

/// A length as Avro writes it.
fn long(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// Were memory taken for what a length claims, these would end the test.
#[test]
fn lengths_that_claim_the_whole_memory_are_refused() {
    for claim in [i64::MAX, i64::MIN, i64::MIN + 1, 1 << 40, 1 << 30] {
        // The first field of a cart is a string; the first of a row, if it is there, an array of records, whose count comes first.
        assert_eq!(error_of::<Cart>(&long(claim)), "bad_datum", "a string of {claim} bytes");
        assert_eq!(
            error_of::<Customer>(&[long(1), long(claim), long(claim)].concat()),
            "bad_datum",
            "{claim} contacts"
        );
        assert_eq!(
            error_of::<Customer>(&[long(1), long(claim), vec![0; 2_000]].concat()),
            "bad_datum",
            "{claim} empty contacts"
        );
    }
}

fn error_of<T: Record + Debug>(datum: &[u8]) -> &'static str {
    decode::<T>(&[&[0], T::ID.to_be_bytes().as_slice(), datum].concat()).unwrap_err().code()
}

#[test]
fn each_kind_of_wrong_bytes_has_its_code() {
    let cart = encode(&samples::cart());
    assert_eq!(decode::<Cart>(b"").unwrap_err().code(), "not_framed");
    assert_eq!(decode::<Cart>(b"{\"event_id\":\"e\"}").unwrap_err().code(), "not_framed");
    assert_eq!(decode::<Cart>(&[0, 0, 0, 0]).unwrap_err().code(), "not_framed");
    assert_eq!(decode::<Cart>(&[0, 0, 0, 0, 1, 2, 3]).unwrap_err().code(), "unknown_schema");
    assert_eq!(decode::<Cart>(&[0, 0xff, 0xff, 0xff, 0xff]).unwrap_err().code(), "unknown_schema");
    assert_eq!(decode::<Action>(&cart).unwrap_err().code(), "wrong_record");
    assert_eq!(decode::<Cart>(&cart[..cart.len() - 1]).unwrap_err(), DecodeError::BadDatum { at: cart.len() - 1 });
    assert_eq!(
        decode::<Cart>(&[cart.as_slice(), b"x"].concat()).unwrap_err(),
        DecodeError::TrailingBytes { at: cart.len() }
    );
    assert_eq!(decode::<Cart>(&vec![0; RECORD_BYTES_MAX + 1]).unwrap_err().code(), "too_large");
}

/// An id that a later version of this program will use is not one of today's.
#[test]
fn versions_that_are_not_released_yet_are_unknown() {
    let mut cart = encode(&samples::cart());
    for id in [Cart::ID - 1, Cart::ID + 1] {
        cart[1..5].copy_from_slice(&id.to_be_bytes());
        assert_eq!(decode::<Cart>(&cart), Err(DecodeError::UnknownSchema { id }));
    }
}

#[test]
fn no_error_repeats_what_was_in_the_record() {
    let mut bytes = encode(&samples::cart());
    let secret = bytes.windows(10).position(|window| window == b"customer-1").unwrap();
    bytes[secret] = 0xff;
    let error = decode::<Cart>(&bytes).unwrap_err();
    assert_eq!(error.code(), "bad_datum");
    assert!(!format!("{error} {error:?}").contains("ustomer"), "{error:?}");
}
