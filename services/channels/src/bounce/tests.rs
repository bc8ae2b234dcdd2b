use proptest::prelude::*;

use super::*;

/// Recorded from a real Postfix 3.7.11 by `RECORD_BOUNCES=1 cargo test -p channels --test providers`: mails of ours to a far side (aiosmtpd)
/// that refuses, with the headers under which the report arrived put before it. Tokens were sealed anew since.
const POSTFIX: [(&str, &str); 3] = [
    ("5.1.1", include_str!("samples/postfix-5.1.1.eml")),
    ("4.2.2", include_str!("samples/postfix-4.2.2.eml")),
    ("5.7.1", include_str!("samples/postfix-5.7.1.eml")),
];

/// After the examples of RFC 5965, appendix B.1 and B.2, with our token among the enclosed headers (`{token}`) and our mark in the
/// address that the mail came from (`{mark}`).
const COMPLAINTS: [(&str, &str); 2] =
    [("whole", include_str!("samples/rfc5965-b1.eml")), ("fields", include_str!("samples/rfc5965-b2.eml"))];

fn keys() -> Keyring {
    Keyring::new(vec![(1, b"links are signed with this secret".to_vec())]).unwrap()
}

fn id(name: &str) -> Id {
    Id::of_instance(name, "", "", "")
}

fn token(send_id: Id) -> String {
    let (customer_id, channel) = ("customer-1".to_owned(), "email".to_owned());
    let token = Token { kind: Kind::Receipt, send_id, customer_id, channel, expires_at: 0, target: String::new() };
    keys().sign(&token).unwrap()
}

fn whose() -> Option<(String, String)> {
    Some(("customer-1".to_owned(), "email".to_owned()))
}

#[test]
fn bounces_of_a_real_server_are_read() {
    for (status, mail) in POSTFIX {
        let bounce = read(mail.as_bytes(), &keys()).unwrap();
        let expected = if status == "5.1.1" { Status::BouncedHard } else { Status::Failed };
        assert_eq!((bounce.status, bounce.code), (expected, Some(format!("dsn_{status}"))));
        assert_eq!(bounce.whose, whose());
    }
}

#[test]
fn who_cannot_sign_cannot_bounce() {
    let (_, mail) = POSTFIX[0];
    let stranger = Keyring::new(vec![(1, b"another secret of that length".to_vec())]).unwrap();
    assert_eq!(read(mail.as_bytes(), &stranger), Err(Useless::NotOurs));
}

#[test]
fn without_the_enclosed_headers_the_address_names_the_send_and_it_outweighs_them() {
    let (_, mail) = POSTFIX[0];
    let known = read(mail.as_bytes(), &keys()).unwrap();
    let cut = mail.replace(TOKEN_HEADER, "X-Other");
    assert_eq!(read(cut.as_bytes(), &keys()), Ok(Bounce { whose: None, ..known.clone() }));
    // Somebody encloses another mail of ours.
    let line = mail.lines().find(|line| line.starts_with(TOKEN_HEADER)).unwrap();
    let swapped = mail.replace(line, &format!("{TOKEN_HEADER}: {}", token(id("other"))));
    assert_eq!(read(swapped.as_bytes(), &keys()), Ok(Bounce { whose: None, ..known.clone() }));
    // And with the token alone.
    let mark = keys().sign_send(known.send_id);
    let unmarked = mail.replace(&mark, "x");
    assert_eq!(read(unmarked.as_bytes(), &keys()), Ok(known.clone()));
    assert_eq!(read(unmarked.replace(TOKEN_HEADER, "X-Other").as_bytes(), &keys()), Err(Useless::NotOurs));
    assert_eq!(read(mail.replace(&mark, &mark.to_uppercase()).as_bytes(), &keys()), Ok(known));
}

#[test]
fn a_mark_counts_only_where_it_says_whom_the_report_was_for() {
    let (_, mail) = POSTFIX[0];
    let known = read(mail.as_bytes(), &keys()).unwrap();
    let bare = mail.replace(&keys().sign_send(known.send_id), "x").replace(TOKEN_HEADER, "X-Other");
    let with = |header: &str| {
        let address = format!("bounces+{}@c.test", keys().sign_send(id("other")));
        read(format!("{header}: <{address}>\r\n{bare}").as_bytes(), &keys())
    };
    for header in ["Subject", "References", "X-Any", "From"] {
        assert_eq!(with(header), Err(Useless::NotOurs), "{header}");
    }
    for header in ["To", "delivered-to", "X-Original-To"] {
        assert_eq!(with(header).map(|bounce| bounce.send_id), Ok(id("other")), "{header}");
    }
}

#[test]
fn a_header_that_was_folded_on_the_way_is_read() {
    let (_, mail) = POSTFIX[0];
    let line = mail.lines().find(|line| line.starts_with(TOKEN_HEADER)).unwrap();
    let (head, tail) = line.split_at(line.len() - 20);
    let folded = mail.replace(line, &format!("{head}\r\n {tail}"));
    assert_eq!(read(folded.as_bytes(), &keys()), read(mail.as_bytes(), &keys()));
}

#[test]
fn a_report_whose_enclosed_mail_has_no_part_at_all_is_read_without_it() {
    // Found by throwing changed reports at it: an enclosed head that nothing ends.
    let broken = include_bytes!("samples/broken.eml");
    assert_eq!(read(broken, &keys()), Err(Useless::NotOurs));
    for end in 0..broken.len() {
        assert!(read(&broken[..end], &keys()).is_err());
    }
}

#[test]
fn complaints_are_read() {
    for (name, mail) in COMPLAINTS {
        let filled = mail.replace("{token}", &token(id("a"))).replace("{mark}", &keys().sign_send(id("a")));
        let bounce = read(filled.as_bytes(), &keys()).unwrap();
        assert_eq!((bounce.send_id, bounce.status), (id("a"), Status::Complained), "{name}");
        assert_eq!((bounce.code.as_deref(), bounce.whose), (Some("arf_abuse"), whose()));
        let other = filled.replace("Feedback-Type: abuse", "Feedback-Type: not-spam");
        assert_eq!(read(other.as_bytes(), &keys()), Err(Useless::NoInformation));
        assert_eq!(read(mail.as_bytes(), &keys()), Err(Useless::NotOurs));
    }
}

#[test]
fn what_is_no_report_says_nothing() {
    let mark = keys().sign_send(id("a"));
    let absent =
        format!("From: a@b.example\r\nTo: bounces+{mark}@c.test\r\nSubject: I am away\r\n\r\nBack on Monday.\r\n");
    assert_eq!(read(absent.as_bytes(), &keys()), Err(Useless::NoReport));
    assert_eq!(read(b"", &keys()), Err(Useless::Unreadable));
}

#[test]
fn what_a_person_writes_to_the_address_of_a_send_is_a_reply() {
    let mark = keys().sign_send(id("a"));
    let mail = |to: &str, headers: &str| {
        read(format!("From: a@b.example\r\nTo: {to}\r\n{headers}\r\nYes, please.\r\n").as_bytes(), &keys())
    };
    let to = format!("Help <help+r{mark}@shop.example>");
    let said = mail(&to, "").unwrap();
    assert_eq!((said.send_id, said.status, said.whose), (id("a"), Status::Replied, None));
    assert_eq!(said.written.unwrap().text.unwrap().as_str(), "Yes, please.");
    assert_eq!(
        mail(&to.to_uppercase(), "").map(|bounce| bounce.send_id),
        Ok(id("a")),
        "in whatever case it comes back"
    );
    assert_eq!(mail(&to, "Auto-Submitted: auto-replied\r\n"), Err(Useless::Automatic));
    assert_eq!(mail(&to.replace("+r", "+"), ""), Err(Useless::NoReport), "programs write to the return address");
    assert_eq!(mail("help@shop.example", &format!("Subject: help+r{mark}@shop.example\r\n")), Err(Useless::NoReport));
    let forged = to.replace(&mark[20..24], if &mark[20..24] == "0000" { "1111" } else { "0000" });
    assert_eq!(mail(&forged, ""), Err(Useless::NotOurs));
}

#[test]
fn a_report_that_comes_to_the_address_for_replies_is_a_report() {
    let (_, mail) = POSTFIX[0];
    let known = read(mail.as_bytes(), &keys()).unwrap();
    let mark = keys().sign_send(known.send_id);
    let moved = mail.replace(&format!("+{mark}"), &format!("+r{mark}"));
    assert_eq!(read(moved.as_bytes(), &keys()), Ok(known), "by what it encloses");
}

proptest! {
    #[test]
    fn a_bounce_that_was_damaged_does_no_harm(at in 0_usize..6_000, with in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut mail = POSTFIX[0].1.as_bytes().to_vec();
        let at = at.min(mail.len());
        let end = (at + with.len()).min(mail.len());
        mail.splice(at..end, with);
        drop(read(&mail, &keys()));
    }
}
