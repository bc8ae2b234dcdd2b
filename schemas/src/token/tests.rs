use proptest::prelude::*;

use super::*;

fn ring(id: u8, secret: &str) -> Keyring {
    Keyring::new(vec![(id, secret.as_bytes().to_vec())]).unwrap()
}

fn click() -> Token {
    Token {
        kind: Kind::Click,
        send_id: Id::of_instance("c", "p", "k", "e"),
        customer_id: "customer-1".to_owned(),
        channel: "email".to_owned(),
        expires_at: 1_000,
        target: "https://shop.example/cart?id=1&x=%D0%B0".to_owned(),
    }
}

#[test]
fn a_token_says_what_was_signed() {
    let keys = ring(1, "a secret of sixteen");
    let text = keys.sign(&click()).unwrap();
    assert_eq!(keys.verify(&text, Kind::Click, 1_000), Ok(click()));
    assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "it goes into a URL as it is");
}

#[test]
fn nobody_without_the_key_reads_anything_in_a_token() {
    let token = click();
    let sealed = URL_SAFE_NO_PAD.decode(ring(1, "a secret of sixteen").sign(&token).unwrap()).unwrap();
    let id = token.send_id.as_u128().to_be_bytes();
    for fact in [token.customer_id.as_bytes(), token.channel.as_bytes(), token.target.as_bytes(), &id] {
        assert!(fact.windows(4).all(|part| !sealed.windows(4).any(|it| it == part)));
    }
    // What it says in two messages does not show that they are the same customer's.
    let other = Token { send_id: Id::of_instance("d", "p", "k", "e"), ..token };
    let other = URL_SAFE_NO_PAD.decode(ring(1, "a secret of sixteen").sign(&other).unwrap()).unwrap();
    assert!(sealed[1..].windows(4).all(|part| !other[1..].windows(4).any(|it| it == part)));
}

#[test]
fn a_token_is_worth_nothing_elsewhere_or_later() {
    let keys = ring(1, "a secret of sixteen");
    let text = keys.sign(&click()).unwrap();
    assert_eq!(keys.verify(&text, Kind::Unsubscribe, 0), Err(TokenError::WrongKind));
    assert_eq!(keys.verify(&text, Kind::Click, 1_001), Err(TokenError::Expired));
    assert_eq!(ring(1, "another secret, longer").verify(&text, Kind::Click, 0), Err(TokenError::Forged));
    assert_eq!(ring(2, "a secret of sixteen").verify(&text, Kind::Click, 0), Err(TokenError::Forged));
}

#[test]
fn links_of_the_old_key_work_while_the_new_one_signs() {
    let old = ring(1, "a secret of sixteen");
    let both =
        Keyring::new(vec![(2, b"the new secret, longer".to_vec()), (1, b"a secret of sixteen".to_vec())]).unwrap();
    let text = old.sign(&click()).unwrap();
    assert_eq!(both.verify(&text, Kind::Click, 0), Ok(click()));
    assert_eq!(
        old.verify(&both.sign(&click()).unwrap(), Kind::Click, 0),
        Err(TokenError::Forged),
        "signed by the new one"
    );
}

#[test]
fn keys_that_protect_nothing_are_refused() {
    assert!(Keyring::new(vec![]).is_err());
    assert!(Keyring::new(vec![(1, b"short".to_vec())]).is_err());
    assert!(Keyring::new(vec![(1, vec![7; 32]), (1, vec![8; 32])]).is_err());
    let neither = Key { id: 3, secret_file: None, secret_env: None };
    assert_eq!(Keyring::load(&[neither]).unwrap_err(), ["signing key 3: give either secret_file or secret_env"]);
}

#[test]
fn a_target_too_long_for_a_link_is_not_signed() {
    let long = Token { target: "x".repeat(TOKEN_CHARACTERS_MAX), ..click() };
    assert_eq!(ring(1, "a secret of sixteen").sign(&long), None);
}

proptest! {
    #[test]
    fn a_tampered_token_never_verifies(at in 0_usize..10_000, bit in 0_u8..8) {
        let keys = ring(1, "a secret of sixteen");
        let mut bytes = URL_SAFE_NO_PAD.decode(keys.sign(&click()).unwrap()).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(keys.verify(&URL_SAFE_NO_PAD.encode(bytes), Kind::Click, 0), Err(TokenError::Forged));
    }

    #[test]
    fn a_token_cut_short_or_prolonged_never_verifies(keep in 0_usize..200, tail in proptest::collection::vec(any::<u8>(), 1..9)) {
        let keys = ring(1, "a secret of sixteen");
        let whole = URL_SAFE_NO_PAD.decode(keys.sign(&click()).unwrap()).unwrap();
        let short = &whole[..keep % whole.len()];
        prop_assert_eq!(keys.verify(&URL_SAFE_NO_PAD.encode(short), Kind::Click, 0), Err(TokenError::Forged));
        let long = [whole.as_slice(), &tail].concat();
        prop_assert_eq!(keys.verify(&URL_SAFE_NO_PAD.encode(long), Kind::Click, 0), Err(TokenError::Forged));
    }

    #[test]
    fn what_is_not_a_token_does_no_harm(text in "\\PC{0,300}") {
        prop_assert_eq!(ring(1, "a secret of sixteen").verify(&text, Kind::Click, 0), Err(TokenError::Forged));
    }

    #[test]
    fn every_token_is_read_back(customer in "\\PC{0,40}", channel in "[a-z]{1,10}", target in "\\PC{0,200}", expires_at: Millis) {
        let keys = ring(1, "a secret of sixteen");
        let token = Token { kind: Kind::Open, send_id: Id::of_instance("c", "p", "k", "e"), customer_id: customer, channel, expires_at, target };
        let text = keys.sign(&token).unwrap();
        prop_assert_eq!(keys.verify(&text, Kind::Open, Millis::MIN), Ok(token));
    }
}

#[test]
fn a_mark_names_its_send_and_cannot_be_made_up() {
    let keys = ring(1, "a secret of sixteen");
    let send = click().send_id;
    let mark = keys.sign_send(send);
    assert_eq!(mark.len(), MARK_CHARACTERS);
    assert_eq!(keys.verify_send(&mark), Ok(send));
    assert_eq!(keys.verify_send(&mark.to_uppercase()), Ok(send), "mail servers may change the case");
    assert_eq!(ring(1, "another secret, longer").verify_send(&mark), Err(TokenError::Forged));
    assert_eq!(ring(2, "a secret of sixteen").verify_send(&mark), Err(TokenError::Forged));
    for at in 0..mark.len() {
        let mut changed = mark.clone().into_bytes();
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(keys.verify_send(&changed), Err(TokenError::Forged), "{at}");
        assert_eq!(keys.verify_send(&mark[..at]), Err(TokenError::Forged));
    }
    assert_eq!(keys.verify_send(&"г".repeat(MARK_CHARACTERS / 2)), Err(TokenError::Forged));
}
