//! What providers, mail servers, producers and customers' browsers wrote. Each takes whatever it gets: it may say no, and nothing else may happen.

use std::sync::LazyLock;

use channels::bounce;
use channels::transport::hook::{self, Hook};
use channels::link::Linker;
use channels::transport::smpp::receipt::{self, Parameters};
use channels::transport::smpp;
use schemas::token::{Keyring, Kind};
use schemas::{Id, Send};

/// Nobody but us can sign.
static KEYS: LazyLock<Keyring> =
    LazyLock::new(|| Keyring::new(vec![(1, b"links are signed with this secret".to_vec())]).expect("a key"));

const KINDS: [Kind; 4] = [Kind::Open, Kind::Click, Kind::Unsubscribe, Kind::Receipt];

/// A mail that came back. A report is about one of our sends or says why not.
pub fn bounce(bytes: &[u8]) {
    match bounce::read(bytes, &KEYS) {
        Ok(bounce) => assert!(bounce.code.is_none_or(|code| code.starts_with("dsn_") || code.starts_with("arf_"))),
        Err(useless) => assert!(!useless.as_str().is_empty()),
    }
}

/// A receipt's text; what is read of it may be shown.
pub fn receipt(bytes: &[u8]) {
    let Some(receipt) = receipt::read(bytes, &Parameters::default(), &["1".to_owned()]) else { return };
    assert!(!receipt.id.is_empty() && !receipt.id.contains(char::is_whitespace));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    assert!(receipt.code.is_none_or(|code| code.len() <= 64 && code.chars().all(plain)), "no address slips through");
}

/// Each kind of hook; any file does for a secret.
static HOOKS: LazyLock<Vec<Box<dyn Hook>>> = LazyLock::new(|| {
    let secret = serde_json::json!({"file": concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")});
    let meta = |product| serde_json::json!({"kind": "meta", "secret": secret, "verify_token": secret, "product": product, "sender": "1"});
    let vk = serde_json::json!({"kind": "vk", "secret": secret, "group_id": 1, "confirmation": "e7e13fe2"});
    let rest = ["viber", "telegram"].map(|kind| serde_json::json!({"kind": kind, "secret": secret}));
    let gateway = |body| {
        let statuses = serde_json::json!({"delivered": "delivered", "failed": "failed", "1": "nothing"});
        let reply = serde_json::json!({"at": "/text", "sender": "/from", "text": "/text"});
        serde_json::json!({"kind": "http", "secret": secret, "post": {"proof": {"hmac": {"header": "x-signature"}}, "body": body, "id": "/id",
            "status": "/status", "time": "/time", "token": "/token", "statuses": statuses, "reply": reply}})
    };
    let all = ["whatsapp", "messenger", "instagram"].map(meta).into_iter().chain([vk]).chain(rest).chain(["json", "form"].map(gateway));
    let open = |config| serde_json::from_value::<hook::Config>(config).expect("a configuration").open().expect("a hook");
    all.map(open).collect()
});

/// A post, by every hook: nobody has signed it, something is counted, and what may be shown is plain.
pub fn hook(bytes: &[u8]) {
    for hook in HOOKS.iter() {
        assert!(!hook.trusts(&http::HeaderMap::new(), bytes), "nobody has signed this");
        assert!(!hook.trusts_path(&String::from_utf8_lossy(bytes)), "nor guessed that");
        let said = hook.read(bytes);
        assert!(!said.is_empty(), "not even counted");
        for said in said {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            assert!(!said.about.is_empty() && said.code.is_none_or(|code| code.len() <= 48 && code.chars().all(plain)));
        }
        assert!(hook.answer(bytes).len() <= 64);
    }
}

/// A message centre; any file does for a secret.
static CENTRE: LazyLock<smpp::Config> = LazyLock::new(|| {
    let password = serde_json::json!({"file": concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")});
    let config = serde_json::json!({"host": "h", "port": 1, "system_id": "s", "password": password, "source": "Shop"});
    serde_json::from_value(config).expect("a configuration")
});

/// What a message centre says, frame by frame; and the same as the body of a `deliver_sm`, so that what is behind the frame is met often.
pub fn frame(bytes: &[u8]) {
    let length = u32::try_from(bytes.len() + 16).expect("a short one");
    let header = [length, 5, 0, 1].map(u32::to_be_bytes).concat();
    for bytes in [bytes, &[header.as_slice(), bytes].concat()] {
        for said in smpp::read(bytes, &CENTRE) {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            assert!(said.code.is_none_or(|code| code.len() <= 64 && code.chars().all(plain)), "no address slips through");
            assert!(said.text.is_none_or(|text| text.as_str().chars().count() <= 4_096), "it is cut");
        }
    }
}

/// A link's token, the mark of a return address, and a page of which the links are led through the tracker.
pub fn link(text: &str) {
    for kind in KINDS {
        assert!(KEYS.verify(text, kind, 0).is_err(), "nobody has signed this");
    }
    assert!(KEYS.verify_send(text).is_err(), "nobody has signed this either");
    let (linker, keys) = Linker::stand_in("https://t.example").expect("its key is good");
    let (id, send) = (Id::of_instance("c1", "", "", ""), Send { customer_id: "c1".to_owned(), ..Send::default() });
    let links = linker.links(id, &send, 0);
    let page = links.rewrite(text);
    assert!(page.len() >= text.len() || page.contains("https://t.example/c/"));
    // A target as a whole: what is signed is a web address, and the same comes back.
    if let Some(link) = links.click(text) {
        let token = keys.verify(link.strip_prefix("https://t.example/c/").expect("one of ours"), Kind::Click, 0);
        let target = token.expect("we have signed it").target;
        assert!(target == text && (text.starts_with("https://") || text.starts_with("http://")));
    }
}

/// What is posted in our own forms, once its signature is believed: receipts, and events of the shop.
pub fn post(bytes: &[u8]) {
    for fact in tracker::receipts::read(bytes, &KEYS, "gateway", 1_000_000).into_iter().flatten().flatten() {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        assert!(fact.code.is_none_or(|code| code.len() <= 48 && code.chars().all(plain)), "no address slips through");
        assert!(!fact.customer_id.is_empty() && fact.send_id.is_some_and(|id| Id::parse(&id).is_some()));
    }
    match tracker::events::read(bytes, "crm", "msg_1") {
        Ok(records) => {
            assert!(records.len() <= tracker::events::EVENTS_MAX);
            let fits = |record: &schemas::json::SourceRecord| record.key.len() + record.value.len() <= tracker::events::EVENT_BYTES_MAX;
            assert!(records.iter().all(fits), "Kafka takes them");
        }
        Err(unfit) => assert!(unfit.status.is_client_error() && unfit.error.is_none_or(|error| !error.is_empty())),
    }
}
