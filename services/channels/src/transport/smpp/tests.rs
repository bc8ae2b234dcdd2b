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
