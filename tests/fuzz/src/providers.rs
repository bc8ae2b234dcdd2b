//! What providers and mail servers wrote. Each takes whatever it gets: it may say no, and nothing else may happen.

use channels::bounce;
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
