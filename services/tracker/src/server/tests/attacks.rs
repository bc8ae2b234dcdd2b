//! What strangers try, over HTTP and over a bare socket; the table is `attacks.md`.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::hooks::{SECRET, WORD, posted, sign, sign_base64};
use super::*;

/// Patient enough for a busy machine, and not more.
const SOON: Duration = Duration::from_secs(20);

fn hasty() -> Limits {
    Limits { head: Duration::from_millis(300), request: Duration::from_millis(600), connections: 3, bodies: 64 << 10 }
}

/// An answer to what is written by hand: everything until the server closes.
async fn raw(edge: &Fixture, pieces: &[&str], pause: Duration) -> String {
    let mut stream = TcpStream::connect(edge.url.strip_prefix("http://").unwrap()).await.unwrap();
    let mut answer = Vec::new();
    for piece in pieces {
        // Who was shown the door may still be talking.
        if stream.write_all(piece.as_bytes()).await.is_err() {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the connection is given up").unwrap_or_default();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_request_whose_head_drips_in_is_given_up() {
    let edge = Fixture::with(Memory::default(), HashMap::new(), hasty()).await;
    let began = stream::clock::Tick::now();
    let head = vec!["a"; 200];
    let pieces: Vec<&str> = ["GET /health HTTP/1.1\r\nx: "].into_iter().chain(head).collect();
    let answer = raw(&edge, &pieces, Duration::from_millis(50)).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(15), "ten seconds of talking, and nobody waits for more");
}

#[tokio::test]
async fn whoever_says_nothing_does_not_keep_others_out() {
    let edge = Fixture::with(Memory::default(), HashMap::new(), hasty()).await;
    let mut mute = Vec::new();
    for _ in 0..hasty().connections {
        mute.push(TcpStream::connect(edge.url.strip_prefix("http://").unwrap()).await.unwrap());
    }
    let other = timeout(SOON, edge.get("/health")).await.expect("somebody else is let in");
    assert_eq!(other.status(), StatusCode::OK);
    for mut stream in mute {
        let mut nothing = Vec::new();
        timeout(SOON, stream.read_to_end(&mut nothing)).await.expect("the mute are shown the door").unwrap();
    }
}

#[tokio::test]
async fn a_request_whose_body_drips_in_is_given_up_and_changes_nothing() {
    let posted = posted(hasty()).await;
    let body = r#"{"event": "seen", "message_token": 42}"#;
    let head = format!(
        "POST /hooks/viber HTTP/1.1\r\nhost: x\r\nx-viber-content-signature: {}\r\ncontent-length: {}\r\n\r\n",
        sign(body),
        body.len()
    );
    let answer = raw(&posted.edge, &[&head, &body[..10], &body[10..20]], Duration::from_millis(100)).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert_eq!(posted.ears.heard(), [""; 0]);
}

#[tokio::test]
async fn a_body_that_is_cut_off_or_has_two_lengths_changes_nothing() {
    let posted = posted(hasty()).await;
    let body = r#"{"event": "seen", "message_token": 42}"#;
    let signed = format!("POST /hooks/viber HTTP/1.1\r\nhost: x\r\nx-viber-content-signature: {}\r\n", sign(body));
    for (rest, status, what) in [
        (
            format!("connection: close\r\ncontent-length: 20\r\n\r\n{}", &body[..20]),
            "401",
            "what is left was not signed",
        ),
        (
            format!("content-length: 38\r\ncontent-length: 2\r\n\r\n{body}"),
            "400",
            "somebody may believe the other length",
        ),
        (format!("connection: close\r\ncontent-length: 38\r\n\r\n{body}"), "200", "the same, whole, is heard"),
    ] {
        let answer = raw(&posted.edge, &[&format!("{signed}{rest}")], Duration::ZERO).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answer}");
    }
    assert_eq!(posted.ears.heard(), ["viber id 42 OPENED"]);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let edge = Fixture::start().await;
    for path in ["/receipts/sandbox", "/events/crm", "/hooks/none", "/hooks/none/x", "/u/x"] {
        let told = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2000000\r\n\r\n");
        let answer = raw(&edge, &[&told], Duration::ZERO).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
    }
    let head = "POST /receipts/sandbox HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let pieces: Vec<&str> = [head].into_iter().chain(vec![chunk.as_str(); 17]).chain(["0\r\n\r\n"]).collect();
    let answer = raw(&edge, &pieces, Duration::ZERO).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(edge.nothing_came());
}

#[tokio::test]
async fn bodies_that_come_in_take_no_more_than_their_room() {
    let limits = Limits { request: SOON, connections: 9, ..hasty() };
    let edge = Fixture::with(Memory::default(), HashMap::new(), limits).await;
    let address = edge.url.strip_prefix("http://").unwrap();
    let begun = format!(
        "POST /receipts/sandbox HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n{}",
        " ".repeat(limits.bodies - 100)
    );
    let mut stranger = TcpStream::connect(address).await.unwrap();
    stranger.write_all(begun.as_bytes()).await.unwrap();
    let large = " ".repeat(1_000);
    let one_more = || edge.receipts(&large, Some("v1,AAAA"));
    timeout(SOON, async { while one_more().await != StatusCode::SERVICE_UNAVAILABLE {} })
        .await
        .expect("there is no room");
    let small = edge.receipts("[]", Some("v1,AAAA")).await;
    assert_eq!(small, StatusCode::UNAUTHORIZED, "who is small finds room");
    drop(stranger);
    timeout(SOON, async { while one_more().await != StatusCode::UNAUTHORIZED {} }).await.expect("there is room again");
    assert!(edge.nothing_came());
}

#[tokio::test]
async fn what_strangers_post_to_a_hook_changes_nothing() {
    let posted = posted(Limits::default()).await;
    let body = r#"{"event": "seen", "message_token": 42}"#;
    let (client, url) = (&posted.edge.client, &posted.edge.url);
    let to = |path: &str, headers: &[(&str, &str)], body: &str| {
        let request = client.post(format!("{url}{path}")).body(body.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        async { request.send().await.unwrap().status() }
    };
    let (good, viber) = (sign(body), "x-viber-content-signature");
    let meta = format!("sha256={good}");
    for (path, headers, what) in [
        ("/hooks/viber", &[][..], "no signature"),
        ("/hooks/viber", &[(viber, "00")], "a guess"),
        ("/hooks/viber", &[(viber, &good), (viber, &good)], "two signatures"),
        ("/hooks/viber", &[("x-hub-signature-256", &meta)], "a proof of another kind"),
        ("/hooks/whatsapp", &[("x-hub-signature-256", "sha256=")], "an empty one"),
        ("/hooks/vk", &[(viber, &good)], "no secret in the body"),
    ] {
        assert_eq!(to(path, headers, body).await, StatusCode::UNAUTHORIZED, "{what}");
    }
    assert_eq!(to("/hooks/viber", &[(viber, &good)], &body.replace("42", "43")).await, StatusCode::UNAUTHORIZED);
    let receipt = r#"{"id": "42", "status": "DELIVRD"}"#;
    let (signed, of_another) = (sign_base64(receipt), sign_base64(body));
    let at = |word: &str| format!("/hooks/path/{word}");
    for (path, headers, what) in [
        ("/hooks/gateway", &[][..], "no signature"),
        ("/hooks/gateway", &[("x-signature", of_another.as_str())], "that of another body"),
        ("/hooks/gateway", &[("x-signature", &signed[1..])], "a part of it"),
        ("/hooks/gateway", &[("x-signature", &signed), ("x-signature", &signed)], "two of them"),
        ("/hooks/gateway/x", &[("x-signature", &signed)], "a path that nobody agreed on"),
        ("/hooks/header", &[("x-token", "a guess of sixteen")], "a guess"),
        ("/hooks/header", &[], "none"),
        ("/hooks/path", &[("x-token", WORD)], "it is to stand in the path"),
        (&at(&WORD[1..]), &[], "a part of it"),
        (&at("a-guess-of-sixteen"), &[], "a guess"),
        (&format!("/hooks/viber/{WORD}"), &[(viber, &good)], "not for this one"),
    ] {
        assert_eq!(to(path, headers, receipt).await, StatusCode::UNAUTHORIZED, "{path}, {what}");
    }
    assert_eq!(
        to("/hooks/gateway", &[("x-signature", &signed)], &receipt[1..]).await,
        StatusCode::UNAUTHORIZED,
        "cut off"
    );
    assert_eq!(to(&format!("{}/x", at(WORD)), &[], receipt).await, StatusCode::NOT_FOUND);
    assert_eq!(to("/hooks/email", &[(viber, &good)], body).await, StatusCode::NOT_FOUND, "a channel without a hook");
    assert_eq!(posted.ears.heard(), [""; 0]);
    assert_eq!(to(&at(WORD), &[], receipt).await, StatusCode::OK);
    assert_eq!(to("/hooks/header", &[("x-token", SECRET)], receipt).await, StatusCode::OK);
    assert_eq!(posted.ears.heard(), ["header id 42 DELIVERED", "path id 42 DELIVERED"], "the same, believed");
    // Signed, but for another provider: the secret is the same here, and nothing is read of it all the same.
    assert_eq!(to("/hooks/whatsapp", &[("x-hub-signature-256", &meta)], body).await, StatusCode::OK);
    assert_eq!(posted.ears.heard().pop().as_deref(), Some("whatsapp nothing: another_sender UNSPECIFIED"));
}

#[tokio::test]
async fn what_was_posted_long_ago_is_not_believed_again() {
    let posted = posted(Limits::default()).await;
    let now = stream::clock::machine_now();
    for (days, expected) in [(7, "viber id 42 OPENED"), (9, "viber nothing: replayed UNSPECIFIED")] {
        let body = format!(r#"{{"event": "seen", "timestamp": {}, "message_token": 42}}"#, now - days * 86_400_000);
        assert_eq!(posted.post("viber", &body).await.0, StatusCode::OK);
        assert_eq!(posted.ears.heard().pop().as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn only_who_knows_the_token_hears_the_challenge_again() {
    let posted = posted(Limits::default()).await;
    let ask = async |path: &str| {
        let answer = posted.edge.get(path).await;
        let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        (answer.status(), kind.unwrap_or_default(), answer.text().await.unwrap())
    };
    let token = "hub.verify_token=what+was+agreed+with+the+provider";
    let good = ask(&format!("/hooks/whatsapp?hub.mode=subscribe&hub.challenge=1158201444&{token}")).await;
    assert_eq!(good, (StatusCode::OK, "text/plain; charset=utf-8".to_owned(), "1158201444".to_owned()));
    for path in [
        "/hooks/whatsapp?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=guess",
        "/hooks/whatsapp?hub.mode=subscribe&hub.challenge=1158201444",
        "/hooks/whatsapp",
        &format!("/hooks/whatsapp?hub.mode=subscribe&hub.challenge=%3Cscript%3E&{token}"),
        &format!("/hooks/viber?hub.mode=subscribe&hub.challenge=1158201444&{token}"),
    ] {
        assert_eq!(ask(path).await, (StatusCode::FORBIDDEN, String::new(), String::new()), "{path}");
    }
    assert_eq!(ask("/hooks/email").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nested_and_swollen_json_is_refused_or_counted_and_the_edge_lives_on() {
    let posted = posted(Limits::default()).await;
    let deep = "[".repeat(500_000);
    assert_eq!(posted.edge.receipts(&deep, None).await, StatusCode::BAD_REQUEST);
    assert_eq!(posted.edge.signed("/events/crm", &deep, None).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(posted.post("viber", &deep).await.0, StatusCode::OK);
    assert_eq!(posted.post("vk", &deep).await.0, StatusCode::UNAUTHORIZED, "its secret is never found");
    assert_eq!(posted.ears.heard(), ["viber nothing: unreadable UNSPECIFIED"]);
    let many = format!("[{}]", vec![r#"{"status": "delivered"}"#; 5_001].join(","));
    assert_eq!(posted.edge.receipts(&many, None).await, StatusCode::PAYLOAD_TOO_LARGE);
    let number = format!(r#"{{"event": "seen", "message_token": 1{}}}"#, "0".repeat(400_000));
    assert_eq!(posted.post("viber", &number).await.0, StatusCode::OK);
    assert_eq!(posted.edge.get("/health").await.status(), StatusCode::OK);
    assert!(posted.edge.nothing_came());
}

#[tokio::test]
async fn an_expired_link_leads_nowhere_and_no_token_adds_a_header() {
    let edge = Fixture::start().await;
    let sign = |target: &str, expires_at| {
        edge.keys.sign(&schemas::token::Token { expires_at, ..token(Kind::Click, target) }).unwrap()
    };
    let nowhere = [
        "https://shop.example/\r\nset-cookie: a=b",
        "javascript:alert(1)",
        "ftp://shop.example/",
        "//other.example",
        "x",
        "",
    ];
    let nowhere = nowhere.map(|target| sign(target, NOW + 1));
    for token in [sign("https://shop.example/", NOW - 1)].into_iter().chain(nowhere) {
        let answer = edge.get(&format!("/c/{token}")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert!(!answer.headers().contains_key(LOCATION) && !answer.headers().contains_key("set-cookie"));
    }
    assert!(edge.nothing_came());
    let whole = edge.get(&format!("/c/{}", sign("https://shop.example/", NOW))).await;
    assert_eq!(
        (whole.status(), &whole.headers()[LOCATION]),
        (StatusCode::FOUND, &"https://shop.example/".parse().unwrap())
    );
}

#[tokio::test]
async fn a_request_that_was_signed_is_not_believed_later_or_under_two_signatures() {
    let edge = Fixture::start().await;
    let body = r#"{"status": "delivered"}"#;
    let send = async |minutes_ago: i64, twice: bool| {
        let then = (stream::clock::machine_now() / 1_000 - minutes_ago * 60).to_string();
        let signature = edge.secret.sign("msg_1", &then, body.as_bytes());
        let request = edge.client.post(format!("{}/receipts/sandbox", edge.url)).body(body);
        let request = request.header("webhook-id", "msg_1").header("webhook-timestamp", then);
        let request = request.header("webhook-signature", &signature);
        let request = if twice { request.header("webhook-signature", "v1,AAAA") } else { request };
        request.send().await.unwrap().status()
    };
    assert_eq!(send(4, false).await, StatusCode::NO_CONTENT);
    assert_eq!(send(6, false).await, StatusCode::UNAUTHORIZED);
    assert_eq!(send(4, true).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_click_leads_to_a_web_address_in_whatever_letters_it_was_written() {
    let edge = Fixture::start().await;
    let answer = edge.get(&format!("/c/{}", edge.sign(Kind::Click, "https://магазин.рф/а b"))).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.headers()[LOCATION], "https://xn--80aairftm.xn--p1ai/%D0%B0%20b");
}
