//! What all parts of this transport are tested with. The session itself is tested in `tests/providers`, against message centres.

use serde_json::json;

use super::*;

pub(super) fn config(port: u16) -> Config {
    serde_json::from_value(json!({
        "host": "127.0.0.1", "port": port, "system_id": "cascade", "password": { "file": concat!(env!("CARGO_MANIFEST_DIR"), "/tests/providers/peers/password.txt") }, "source": "Shop",
    }))
    .unwrap()
}

pub(super) fn message(text: &str) -> Message {
    Message {
        send_id: "8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e".to_owned(),
        customer_id: "c1".to_owned(),
        address: "+79000000000".to_owned(),
        subject: None,
        text: text.to_owned(),
        html: None,
        link: None,
        unsubscribe: None,
        receipt_token: None,
        return_token: None,
        now: 0,
        send_before: 3_600_000,
        valid_until: 3_600_000,
    }
}

#[test]
fn a_configuration_that_cannot_work_is_told_before_anything_starts() {
    assert_eq!(config(2775).problems(), Vec::<String>::new());
    type Spoil = fn(&mut Config);
    let cases: [(&str, Spoil); 14] = [
        ("receipts_remembered", |config| config.receipts_remembered = 0),
        ("receipts_remembered", |config| config.receipts_remembered = 20_000_001),
        ("system_id", |config| config.system_id = "a".repeat(16)),
        ("system_id", |config| config.system_id.clear()),
        ("password", |config| config.password = Secret::File("/nowhere".into())),
        ("source", |config| config.source = "Магазин".to_owned()),
        ("source", |config| config.source.clear()),
        ("service_type", |config| config.service_type = "longer".to_owned()),
        ("window", |config| config.window = 0),
        ("timeout_seconds", |config| config.timeout_seconds = 46),
        ("enquire_link_seconds", |config| config.enquire_link_seconds = 0),
        ("validity_minutes", |config| config.validity_minutes = Some(0)),
        ("tls_authorities", |config| config.tls_authorities = Some("/nowhere".into())),
        ("statuses", |config| config.statuses = BTreeMap::from([("x".to_owned(), Verdict::Refused)])),
    ];
    for (name, spoil) in cases {
        let mut config = config(2775);
        spoil(&mut config);
        let problems = config.problems();
        assert!(problems.len() == 1 && problems[0].starts_with(&format!("transport.{name}")), "{name}: {problems:?}");
    }
    assert!(serde_json::from_value::<Config>(json!({ "host": "h", "port": 1, "hosts": 1 })).is_err());
}

/// A `deliver_sm` from 790 with this class and coding, this text, and what stands behind it.
fn delivered(class: u8, coding: u8, text: &[u8], behind: &[u8]) -> Vec<u8> {
    let head = b"\0\x01\x01790\0\x01\x01Shop\0";
    let middle = [class, 0, 0, 0, 0, 0, 0, coding, 0, u8::try_from(text.len()).unwrap()];
    let body = [head, &middle[..], text, behind].concat();
    let header = [u32::try_from(body.len()).unwrap() + 16, 5, 0, 1].map(u32::to_be_bytes).concat();
    [header, body].concat()
}

#[test]
fn what_comes_is_read_frame_by_frame_to_the_one_that_ends_a_connection() {
    let receipt = delivered(4, 0, b"id:7 stat:DELIVRD", b"");
    // A part of a message, in UCS-2 behind a header that says so; the id and the state of a receipt beside no text.
    let reply = delivered(0x40, 8, b"\x05\0\x03\x07\x02\x01\x04\x14\x04\x30", b"");
    let beside = delivered(4, 0, b"", b"\0\x1e\0\x028\0\x04\x27\0\x01\x05");
    let impossible = [0, 0, 0, 3];
    let said = read(&[&receipt[..], &reply, &beside, &impossible, &receipt].concat(), &config(1));
    let id = |id: &str| super::super::About::ProviderId(id.to_owned());
    assert_eq!((said.len(), &said[0].about, said[0].status), (3, &id("7"), schemas::Status::Delivered));
    assert_eq!(said[1].about, super::super::About::Address("790".to_owned()));
    assert_eq!(said[1].text.as_ref().map(|text| text.as_str()), Some("Да"));
    assert_eq!((&said[2].about, said[2].status), (&id("8"), schemas::Status::Failed));
}
