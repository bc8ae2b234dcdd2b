//! The SMPP session against message centres that are built on other people's libraries.

use std::path::Path;
use std::time::Duration;

use crate::peers::{Peer, SOON, certificate};
use channels::transport::{About, Answer, Config, Ear, Fate, Message, Text, Transport, Word};
use schemas::Status;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

fn config(port: u16, more: Value) -> Config {
    // Secrets stand in files or in the environment; this file holds the word "secret".
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/providers/peers/password.txt");
    let mut config = json!({
        "kind": "smpp", "host": "127.0.0.1", "port": port, "system_id": "cascade", "password": { "file": file },
        "source": "Shop", "timeout_seconds": 2, "enquire_link_seconds": 1,
    });
    let fields = config.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    serde_json::from_value(config).expect("a configuration")
}

fn open(port: u16, more: Value) -> Box<dyn Transport> {
    config(port, more).open().expect("it opens")
}

/// A message to a number whose last four digits say what the centre does with it.
fn message(what: &str, text: &str) -> Message {
    Message {
        send_id: format!("8f9b22f9-9da3-56c4-85fa-4f1aea6b{what}"),
        customer_id: "c1".to_owned(),
        address: format!("+7900000{what}"),
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

async fn word(ear: &mut Ear) -> Word {
    timeout(SOON, ear.words.recv()).await.expect("the centre is heard in time").expect("the session lives")
}

/// The answer once the session is there.
async fn settled(transport: &dyn Transport, message: &Message) -> Answer {
    for _ in 0..200 {
        match transport.hand_over(message).await {
            Answer::NotTaken { code, .. } if code == "connection" => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            answer => return answer,
        }
    }
    panic!("there is no session");
}

fn accepted(id: &str) -> Answer {
    Answer::taken(Some(id.to_owned()))
}

fn not_taken(code: &str) -> Answer {
    Answer::NotTaken { code: code.to_owned(), retry_after: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_arrives_as_it_was_meant_and_its_receipt_comes_back() {
    let mut centre = Peer::start("smsc.py", &[]).await;
    let transport = open(centre.port, json!({}));
    let mut ear = transport.ear().expect("it is heard");
    assert!(transport.ear().is_none(), "once");
    assert_eq!(settled(&*transport, &message("0000", "Hello [1]")).await, accepted("00000001"));
    let bind = centre.event("bind").await;
    assert_eq!((bind["system_id"].as_str(), bind["version"].as_u64()), (Some("cascade"), Some(0x34)));
    let submit = centre.event("submit").await;
    assert_eq!(submit["to"], "79000000000");
    assert_eq!(submit["text"], "48656c6c6f201b3c311b3e");
    assert_eq!(
        (&submit["source"], &submit["source_ton"], &submit["source_npi"]),
        (&json!("Shop"), &json!(5), &json!(0))
    );
    assert_eq!((&submit["to_ton"], &submit["to_npi"]), (&json!(1), &json!(1)));
    assert_eq!((&submit["coding"], &submit["registered"], &submit["esm_class"]), (&json!(0), &json!(1), &json!(0)));
    assert_eq!(submit["validity"], "000000010000000R");

    let delivered = word(&mut ear).await;
    assert_eq!((&delivered.about, delivered.status), (&About::ProviderId("00000001".to_owned()), Status::Delivered));
    delivered.fate.send(Fate::Kept).expect("it waits");
    assert_eq!(centre.event("deliver_sm_resp").await["status"], 0);

    assert_eq!(settled(&*transport, &message("7001", "a")).await, accepted("00000002"));
    let failed = word(&mut ear).await;
    assert_eq!((failed.status, failed.code.as_deref()), (Status::Failed, Some("undeliv_001")));
    failed.fate.send(Fate::Again).expect("it waits");
    assert_eq!(centre.event("deliver_sm_resp").await["status"], 0x64, "it has to say it again");

    assert_eq!(settled(&*transport, &message("7003", "a")).await, accepted("00000003"));
    let by_text = word(&mut ear).await;
    assert_eq!((&by_text.about, by_text.status), (&About::ProviderId("00000003".to_owned()), Status::Delivered));
    drop(by_text);
    assert_eq!(centre.event("deliver_sm_resp").await["status"], 0x64, "a word that is dropped is not acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_texts_arrive_in_segments_or_whole() {
    let mut centre = Peer::start("smsc.py", &[]).await;
    let transport = open(centre.port, json!({}));
    let text = "Ваша корзина ждёт вас! ".repeat(7);
    assert_eq!(settled(&*transport, &message("0000", &text)).await, accepted("00000003"), "the id of the last segment");
    let mut joined = Vec::new();
    for at in 1..=3_u8 {
        let submit = centre.event("submit").await;
        let bytes = bytes(&submit["text"]);
        assert_eq!((&bytes[..3], &bytes[4..6]), (&[5, 0, 3][..], &[3, at][..]));
        assert_eq!((&submit["esm_class"], &submit["coding"]), (&json!(0x40), &json!(8)));
        assert_eq!(submit["registered"], u8::from(at == 3));
        joined.extend_from_slice(&bytes[6..]);
    }
    let units: Vec<u16> = joined.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    assert_eq!(String::from_utf16(&units).expect("UTF-16"), text);

    let transport = open(centre.port, json!({ "concatenation": "payload" }));
    assert_eq!(settled(&*transport, &message("0000", &"a".repeat(500))).await, accepted("00000004"));
    let submit = centre.event("submit").await;
    assert_eq!((submit["text"].as_str(), bytes(&submit["payload"]).len()), (Some(""), 500));

    // The second segment of 8005 is throttled once; the first, which is paid for, does not go out again.
    assert_eq!(settled(&*transport, &message("9088", &text)).await, throttled());
    let transport = open(centre.port, json!({}));
    assert_eq!(settled(&*transport, &message("8005", &text)).await, accepted("00000007"));
    let mut parts = Vec::new();
    while parts.len() < 4 {
        let submit = centre.event("submit").await;
        if submit["to"].as_str().is_some_and(|to| to.ends_with("8005")) {
            parts.push(bytes(&submit["text"])[5]);
        }
    }
    assert_eq!(parts, [1, 2, 2, 3]);
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().expect("text");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn throttled() -> Answer {
    Answer::NotTaken { code: "smpp_0x58".to_owned(), retry_after: Some(Duration::from_secs(1)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_centre_says_is_read_as_the_table_says() {
    let centre = Peer::start("smsc.py", &[]).await;
    let transport = open(centre.port, json!({ "statuses": { "0x401": "refused" } }));
    let code = |code: &str| code.to_owned();
    let rows = [
        ("9011", Answer::NobodyThere { code: code("smpp_0x0b") }),
        ("9088", throttled()),
        ("9020", not_taken("smpp_0x14")),
        ("9069", Answer::Refused { code: code("smpp_0x45") }),
        ("9010", not_taken("smpp_0x0a")),
        ("9255", Answer::Unknown { code: code("smpp_0xff") }),
        ("8001", Answer::Unknown { code: code("timeout") }),
        ("8003", Answer::Unknown { code: code("unreadable") }),
        ("8008", Answer::Unknown { code: code("unreadable") }),
        ("8009", Answer::NobodyThere { code: code("smpp_0x0b") }),
        ("8002", Answer::Unknown { code: code("connection_broke") }),
    ];
    for (what, answer) in rows {
        assert_eq!(settled(&*transport, &message(what, "a")).await, answer, "{what}");
    }
    let bad = Message { address: "not a number".to_owned(), ..message("0000", "a") };
    assert_eq!(transport.hand_over(&bad).await, Answer::Unfit { code: code("bad_address") });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_which_a_part_has_gone_out_is_never_one_that_was_not_taken() {
    let centre = Peer::start("smsc.py", &[]).await;
    let transport = open(centre.port, json!({}));
    let text = "Ваша корзина ждёт вас! ".repeat(7);
    assert!(matches!(settled(&*transport, &message("0000", "a")).await, Answer::Accepted { .. }));
    let unknown = |code: &str| Answer::Unknown { code: code.to_owned() };
    assert_eq!(transport.hand_over(&message("8007", &text)).await, unknown("incomplete"), "the second part is refused");
    // Three parts of 800 ms each, in a hand-over of two seconds.
    assert_eq!(transport.hand_over(&message("8010", &text)).await, unknown("timeout"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_too_late_still_tells_the_id() {
    let centre = Peer::start("smsc.py", &[]).await;
    let transport = open(centre.port, json!({ "receipts": false }));
    let mut ear = transport.ear().expect("it is heard");
    assert_eq!(settled(&*transport, &message("0000", "a")).await, accepted("00000001"));
    let late = message("8011", "a");
    assert_eq!(transport.hand_over(&late).await, Answer::Unknown { code: "timeout".to_owned() });
    let (send_id, customer_id) = (late.send_id.clone(), late.customer_id.clone());
    assert_eq!(word(&mut ear).await.about, About::Named { provider_id: "00000002".to_owned(), send_id, customer_id });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_written_is_not_taken() {
    let centre = Peer::start("smsc.py", &[]).await;
    let transport = open(centre.port, json!({ "window": 1 }));
    assert!(matches!(settled(&*transport, &message("0000", "a")).await, Answer::Accepted { .. }));
    // Off the beats of the session, in which the window gets rid of who has given up.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let (first, second) = (message("8001", "a"), message("0000", "a"));
    let (first, second) = tokio::join!(transport.hand_over(&first), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        transport.hand_over(&second).await
    });
    assert_eq!((first, second), (Answer::Unknown { code: "timeout".to_owned() }, not_taken("queue")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_centre_that_does_not_say_that_it_lives_is_called_anew() {
    let mut centre = Peer::start("smsc.py", &[]).await;
    let transport = open(centre.port, json!({}));
    assert!(matches!(settled(&*transport, &message("0000", "a")).await, Answer::Accepted { .. }));
    centre.event("bind").await;
    centre.order(json!({ "do": "ignore_enquiries" })).await;
    centre.event("closed").await;
    centre.event("bind").await;
    assert!(matches!(settled(&*transport, &message("0000", "a")).await, Answer::Accepted { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_are_in_flight_and_no_more_than_the_window() {
    let mut centre = Peer::start("smsc.py", &[]).await;
    let transport: std::sync::Arc<dyn Transport> = open(centre.port, json!({ "window": 5 })).into();
    assert_eq!(transport.calls_max(), Some(5));
    assert!(matches!(settled(&*transport, &message("0000", "a")).await, Answer::Accepted { .. }));
    let mut calls = JoinSet::new();
    for _ in 0..5 {
        let transport = std::sync::Arc::clone(&transport);
        calls.spawn(async move { transport.hand_over(&message("8004", "a")).await });
    }
    while let Some(answer) = calls.join_next().await {
        assert!(matches!(answer.expect("it ends"), Answer::Accepted { .. }));
    }
    let mut most = 0;
    for _ in 0..6 {
        most = centre.event("submit").await["most"].as_u64().expect("a number").max(most);
    }
    assert_eq!(most, 5);
    // Answers come in another order than messages, and each finds its own.
    let (late, early) = (message("8006", "a"), message("0000", "a"));
    let (late, early) = tokio::join!(transport.hand_over(&late), transport.hand_over(&early));
    assert_eq!((early, late), (accepted("00000007"), accepted("00000008")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_is_made_anew_and_what_had_no_answer_is_unknown() {
    let mut centre = Peer::start("smsc.py", &[]).await;
    let transport = open(centre.port, json!({}));
    assert_eq!(settled(&*transport, &message("0000", "a")).await, accepted("00000001"));
    centre.event("enquire_link").await;
    centre.order(json!({ "do": "enquire" })).await;
    assert_eq!(centre.event("enquire_link_resp").await["status"], 0);

    let silent = message("8001", "a");
    let (answer, ()) = tokio::join!(transport.hand_over(&silent), async {
        centre.event("submit").await;
        centre.order(json!({ "do": "cut" })).await;
    });
    assert_eq!(answer, Answer::Unknown { code: "connection_broke".to_owned() });
    assert_eq!(transport.hand_over(&message("0000", "a")).await, not_taken("connection"));
    assert!(matches!(settled(&*transport, &message("0000", "a")).await, Answer::Accepted { .. }));

    centre.order(json!({ "do": "unbind" })).await;
    centre.event("unbind_resp").await;
    centre.event("bind").await;
    // What no library would read: an unknown command, a receipt cut short. The session outlives both.
    centre.order(json!({ "do": "raw", "bytes": "00000010000001020000000000000009" })).await;
    centre.event("generic_nack").await;
    centre.order(json!({ "do": "raw", "bytes": "00000012000000050000000000000009ffff" })).await;
    assert_eq!(centre.event("deliver_sm_resp").await["sequence"], 9);
    assert!(matches!(settled(&*transport, &message("0000", "a")).await, Answer::Accepted { .. }));
    drop(transport);
    centre.event("unbind").await;
    centre.event("closed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_refused_takes_nothing() {
    let centre = Peer::start("smsc.py", &[]).await;
    let wrong = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(wrong.path(), "wrong").expect("written");
    let transport = open(centre.port, json!({ "password": { "file": wrong.path() } }));
    assert_eq!(settled(&*transport, &message("0000", "a")).await, not_taken("bind_smpp_0x0e"));
    let nobody = open(1, json!({}));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(nobody.hand_over(&message("0000", "a")).await, not_taken("connection"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_name_the_number_that_they_come_from_and_have_a_text() {
    let mut centre = Peer::start("smsc.py", &[]).await;
    let transport = open(centre.port, json!({ "receipts": false }));
    let mut ear = transport.ear().expect("it is heard");
    let sent = message("0000", "a");
    assert_eq!(settled(&*transport, &sent).await, accepted("00000001"));
    let about = About::Address("79000000000".to_owned());
    let says = |text: &str, coding: u8| json!({ "do": "say", "from": "79000000000", "text": text, "coding": coding });
    let cases = [
        (says("4f4b", 0), Status::Replied, "OK"),
        // "Стоп" in UCS-2, behind a user data header.
        (
            json!({ "do": "say", "from": "79000000000", "text": "050003010101042104420 43e043f".replace(' ', ""), "coding": 8, "esm_class": 64 }),
            Status::Unsubscribed,
            "Стоп",
        ),
        (says("73746f70", 3), Status::Unsubscribed, "stop"),
    ];
    for (order, status, text) in cases {
        centre.order(order).await;
        let word = word(&mut ear).await;
        assert_eq!((&word.about, word.status), (&about, status));
        assert_eq!(word.text.as_ref().map(Text::as_str), Some(text));
        word.fate.send(Fate::Kept).expect("it waits");
        assert_eq!(centre.event("deliver_sm_resp").await["status"], 0);
    }
    centre.order(json!({ "do": "say", "from": "79009999999", "text": "4f4b" })).await;
    let stranger = word(&mut ear).await;
    assert_eq!(stranger.about, About::Address("79009999999".to_owned()));
    stranger.fate.send(Fate::Useless).expect("it waits");
    assert_eq!(centre.event("deliver_sm_resp").await["status"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_library_takes_our_messages_and_its_hexadecimal_ids_are_read() {
    let mut centre = Peer::start("other_smsc.py", &[]).await;
    let transport = open(centre.port, json!({ "receipt_id": "hex_to_decimal" }));
    let mut ear = transport.ear().expect("it is heard");
    for count in 1..=12 {
        assert_eq!(settled(&*transport, &message("0000", "Hello")).await, accepted(&count.to_string()));
        let word = word(&mut ear).await;
        assert_eq!((&word.about, word.status), (&About::ProviderId(count.to_string()), Status::Delivered));
        word.fate.send(Fate::Kept).expect("it waits");
        assert_eq!(centre.event("deliver_sm_resp").await["status"], 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_may_be_encrypted_and_the_server_must_be_known() {
    let directory = tempfile::tempdir().expect("a directory");
    let (certificate, key) = certificate(directory.path(), "centre");
    let centre = Peer::start("smsc.py", &[&certificate, &key]).await;
    let known = open(centre.port, json!({ "tls": true, "tls_authorities": certificate }));
    assert_eq!(settled(&*known, &message("0000", "a")).await, accepted("00000001"));
    let stranger = open(centre.port, json!({ "tls": true }));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stranger.hand_over(&message("0000", "a")).await, not_taken("connection"));
}
