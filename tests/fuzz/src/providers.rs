//! What providers and mail servers wrote. Each takes whatever it gets: it may say no, and nothing else may happen.

use std::sync::LazyLock;

use channels::bounce;
use channels::transport::hook::{self, Hook};
use channels::transport::smpp::receipt::{self, Parameters};
use schemas::token::Keyring;

/// A mail that came back. Nobody but us can sign, so a report is about one of our sends or says why not.
pub fn bounce(bytes: &[u8]) {
    let keys = Keyring::new(vec![(1, b"links are signed with this secret".to_vec())]);
    match bounce::read(bytes, &keys.expect("a key")) {
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
    let all = ["whatsapp", "messenger", "instagram"].map(meta).into_iter().chain([vk]).chain(rest);
    let open = |config| serde_json::from_value::<hook::Config>(config).expect("a configuration").open().expect("a hook");
    all.map(open).collect()
});

/// A post, by every hook: nobody has signed it, something is counted, and what may be shown is plain.
pub fn hook(bytes: &[u8]) {
    for hook in HOOKS.iter() {
        assert!(!hook.trusts(&http::HeaderMap::new(), bytes), "nobody has signed this");
        let said = hook.read(bytes);
        assert!(!said.is_empty(), "not even counted");
        for said in said {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            assert!(!said.about.is_empty() && said.code.is_none_or(|code| code.len() <= 48 && code.chars().all(plain)));
        }
        assert!(hook.answer(bytes).len() <= 64);
    }
}
