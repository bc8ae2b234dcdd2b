//! Against a real SMTP peer (`mailin`, the state machine that is also behind the demo's inbox) on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use mail_parser::MessageParser;
use mailin::{Action, Handler, Response, SessionBuilder};
use proptest::prelude::*;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::*;

/// What the peer received: whole mails.
type Inbox = Arc<Mutex<Vec<Vec<u8>>>>;

struct Peer {
    inbox: Inbox,
    mail: Vec<u8>,
}

impl Handler for Peer {
    fn rcpt(&mut self, to: &str) -> Response {
        match to {
            "dead@shop.example" => Response::custom(550, "5.1.1 no such user".to_owned()),
            "barred@shop.example" => Response::custom(550, "5.7.1 we do not like you".to_owned()),
            "stranger@shop.example" => Response::custom(530, "log in first".to_owned()),
            "quota@shop.example" => Response::custom(552, "5.2.2 mailbox full".to_owned()),
            "bare@shop.example" => Response::custom(550, "5 dogs bark".to_owned()),
            "full@shop.example" => Response::custom(452, "4.2.2 mailbox full".to_owned()),
            _ => mailin::response::OK,
        }
    }

    fn data(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.mail.extend_from_slice(bytes);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        self.inbox.lock().unwrap().push(std::mem::take(&mut self.mail));
        mailin::response::OK
    }
}

/// Serves for as long as the set lives. With `breaks` it hangs up instead of acknowledging the data.
async fn serve(breaks: bool) -> (SocketAddr, Inbox, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let inbox = Inbox::default();
    let kept = Arc::clone(&inbox);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut sessions = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let peer = Peer { inbox: Arc::clone(&kept), mail: Vec::new() };
            sessions.spawn(async move {
                let (input, mut output) = stream.into_split();
                let mut input = BufReader::new(input);
                let mut session = SessionBuilder::new("peer.example").build(IpAddr::V4(Ipv4Addr::LOCALHOST), peer);
                let greeting = session.greeting().buffer().unwrap();
                output.write_all(&greeting).await.unwrap();
                let mut line = Vec::new();
                while input.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                    let response = session.process(&line);
                    if breaks && line == b".\r\n" {
                        return;
                    }
                    if response.action != Action::NoReply {
                        output.write_all(&response.buffer().unwrap()).await.unwrap();
                    }
                    if response.action == Action::Close {
                        return;
                    }
                    line.clear();
                }
            });
        }
    });
    (address, inbox, tasks)
}

fn config(address: SocketAddr) -> Config {
    Config {
        tls_authorities: None,
        host: address.ip().to_string(),
        port: address.port(),
        tls: Protection::None,
        username: None,
        password: None,
        from: "Лавка <news@shop.example>".to_owned(),
        reply_to: None,
        mark_replies: false,
        return_path: None,
        timeout_seconds: 5,
    }
}

fn message(address: &str) -> Message {
    Message {
        send_id: "8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e".to_owned(),
        customer_id: "c1".to_owned(),
        address: address.to_owned(),
        subject: Some("Ваша корзина ждёт".to_owned()),
        text: "Привет!\n.\nhttps://t.example/c/1\n".to_owned(),
        html: Some("<p>Привет!</p>".to_owned()),
        link: None,
        unsubscribe: Some(format!("https://t.example/u/{}", "x".repeat(180))),
        receipt_token: None,
        return_token: None,
        now: 1_700_000_000_000,
        send_before: 1_700_003_600_000,
        valid_until: 1_700_003_600_000,
    }
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_meant() {
    let (address, inbox, _tasks) = serve(false).await;
    let transport = open(&config(address)).unwrap();
    let answer = transport.hand_over(&message("anna@shop.example")).await;
    let id = "8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e@shop.example";
    assert_eq!(answer, Answer::taken(Some(format!("<{id}>"))));
    let raw = inbox.lock().unwrap().pop().unwrap();
    let mail = MessageParser::default().parse(&raw).unwrap();
    assert_eq!(mail.subject(), Some("Ваша корзина ждёт"));
    assert_eq!(mail.message_id(), Some(id));
    assert_eq!(mail.from().unwrap().first().unwrap().name(), Some("Лавка"));
    assert_eq!(mail.date().unwrap().to_timestamp(), 1_700_000_000);
    assert_eq!(mail.body_text(0).unwrap().replace("\r\n", "\n"), "Привет!\n.\nhttps://t.example/c/1\n");
    assert_eq!(mail.body_html(0).unwrap().trim(), "<p>Привет!</p>");
    let text = String::from_utf8_lossy(&raw);
    assert!(text.contains(&format!("List-Unsubscribe: <https://t.example/u/{}>\r\n", "x".repeat(180))), "{text}");
    assert!(text.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"), "{text}");
}

#[tokio::test]
async fn people_answer_to_an_address_that_names_the_send_where_that_is_wanted() {
    let (address, inbox, _tasks) = serve(false).await;
    let marked =
        Message { return_token: Some("0123456789".repeat(6)[..54].to_owned()), ..message("anna@shop.example") };
    for (mark_replies, expected) in [
        (false, "help@shop.example".to_owned()),
        (true, format!("help+r{}@shop.example", &"0123456789".repeat(6)[..54])),
    ] {
        let config =
            Config { reply_to: Some("Помощь <help@shop.example>".to_owned()), mark_replies, ..config(address) };
        assert_eq!(config.problems(), Vec::<String>::new());
        open(&config).unwrap().hand_over(&marked).await;
        let raw = inbox.lock().unwrap().pop().unwrap();
        let mail = MessageParser::default().parse(&raw).unwrap();
        let to = mail.reply_to().unwrap().first().unwrap();
        assert_eq!((to.name(), to.address()), (Some("Помощь"), Some(expected.as_str())));
    }
    for reply_to in [None, Some("customers@shop.example".to_owned())] {
        let config = Config { reply_to, mark_replies: true, ..config(address) };
        assert_eq!(
            config.problems(),
            ["transport.mark_replies needs a reply_to, with at most 8 characters before the @"]
        );
    }
}

#[tokio::test]
async fn what_is_not_marketing_has_no_unsubscribe_header() {
    let (address, inbox, _tasks) = serve(false).await;
    let plain = Message { unsubscribe: None, html: None, ..message("anna@shop.example") };
    open(&config(address)).unwrap().hand_over(&plain).await;
    let raw = inbox.lock().unwrap().pop().unwrap();
    assert!(!String::from_utf8_lossy(&raw).contains("List-Unsubscribe"));
}

#[tokio::test]
async fn the_servers_word_decides() {
    let (address, _, _tasks) = serve(false).await;
    let transport = open(&config(address)).unwrap();
    assert_eq!(transport.hand_over(&message("dead@shop.example")).await, Answer::nobody_there("smtp_5.1.1"));
    assert_eq!(transport.hand_over(&message("barred@shop.example")).await, Answer::not_taken("smtp_5.7.1"));
    assert_eq!(transport.hand_over(&message("stranger@shop.example")).await, Answer::not_taken("smtp_530"));
    assert_eq!(transport.hand_over(&message("quota@shop.example")).await, Answer::refused("smtp_5.2.2"));
    assert_eq!(transport.hand_over(&message("bare@shop.example")).await, Answer::refused("smtp_550"));
    assert_eq!(transport.hand_over(&message("full@shop.example")).await, Answer::not_taken("smtp_452"));
    assert_eq!(transport.hand_over(&message("no address")).await, Answer::unfit("bad_address"));
}

#[test]
fn what_is_about_us_refuses_nothing() {
    let ours = [
        ("530", None),
        ("534", Some("5.7.9")),
        ("535", Some("5.7.8")),
        ("538", None),
        ("550", Some("5.7.26")),
        ("553", Some("5.1.8")),
        ("554", None),
        ("554", Some("5.3.2")),
        ("503", Some("5.5.1")),
    ];
    for (code, enhanced) in ours {
        let told = format!("smtp_{}", enhanced.unwrap_or(code));
        assert_eq!(permanent(code, enhanced.map(str::to_owned)), Answer::not_taken(told));
    }
    let theirs =
        [("550", None), ("552", Some("5.2.2")), ("552", Some("5.3.4")), ("554", Some("5.6.0")), ("550", Some("5.4.1"))];
    for (code, enhanced) in theirs {
        let told = format!("smtp_{}", enhanced.unwrap_or(code));
        assert_eq!(permanent(code, enhanced.map(str::to_owned)), Answer::refused(told));
    }
    for enhanced in NOBODY_THERE {
        assert_eq!(permanent("550", Some(enhanced.to_owned())), Answer::nobody_there(format!("smtp_{enhanced}")));
    }
}

#[tokio::test]
async fn a_login_or_tls_that_the_server_does_not_offer_is_a_fault_of_ours_and_a_mail_that_it_cannot_carry_is_not() {
    let (address, _, _tasks) = serve(false).await;
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut secret, b"sesame").unwrap();
    let password = Some(Secret::File(secret.path().to_owned()));
    let with_login = Config { username: Some("shop".to_owned()), password, ..config(address) };
    let login = open(&with_login).unwrap();
    assert_eq!(login.hand_over(&message("anna@shop.example")).await, Answer::not_taken("smtp_client"));
    let tls = open(&Config { tls: Protection::Starttls, ..config(address) }).unwrap();
    assert_eq!(tls.hand_over(&message("anna@shop.example")).await, Answer::not_taken("smtp_client"));
    let plain = open(&config(address)).unwrap();
    assert_eq!(plain.hand_over(&message("анна@shop.example")).await, Answer::unfit("smtp_client"));
}

#[tokio::test]
async fn a_server_that_is_away_has_taken_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let transport = open(&config(address)).unwrap();
    assert_eq!(transport.hand_over(&message("anna@shop.example")).await, Answer::not_taken("connection"));
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_the_outcome_unknown() {
    let (address, inbox, _tasks) = serve(true).await;
    let transport = open(&config(address)).unwrap();
    assert_eq!(transport.hand_over(&message("anna@shop.example")).await, Answer::unknown("connection_broke"));
    assert_eq!(inbox.lock().unwrap().len(), 1, "and indeed it was taken");
}

/// Takes the first mail, but says so only when it is `asked`; then it has `said` so. Rejects all others.
async fn serve_late(asked: Arc<Notify>, said: Arc<Notify>) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, mut tasks) = (listener.local_addr().unwrap(), JoinSet::new());
    let mails = Arc::new(Mutex::new(0));
    tasks.spawn(async move {
        let mut sessions = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (mails, asked, said) = (Arc::clone(&mails), Arc::clone(&asked), Arc::clone(&said));
            sessions.spawn(async move {
                let (input, mut output) = stream.into_split();
                let (mut lines, mut in_mail, mut is_late) = (BufReader::new(input).lines(), false, false);
                output.write_all(b"220 late\r\n").await.unwrap();
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer = match line.as_str() {
                        "." => {
                            in_mail = false;
                            let number = *mails.lock().unwrap();
                            *mails.lock().unwrap() += 1;
                            if number == 0 {
                                asked.notified().await;
                                is_late = true;
                                "250 taken"
                            } else {
                                "550 5.1.1 no such user"
                            }
                        }
                        _ if in_mail => continue,
                        "DATA" => {
                            in_mail = true;
                            "354 go on"
                        }
                        _ => "250 yes",
                    };
                    let is_there = output.write_all(format!("{answer}\r\n").as_bytes()).await.is_ok();
                    if std::mem::take(&mut is_late) {
                        said.notify_one();
                    }
                    if !is_there {
                        return;
                    }
                }
            });
        }
    });
    (address, tasks)
}

#[tokio::test]
async fn what_a_session_says_too_late_is_no_answer_to_the_next_mail() {
    let (asked, said) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (address, _server) = serve_late(Arc::clone(&asked), Arc::clone(&said)).await;
    let email = open(&Config { timeout_seconds: 1, ..config(address) }).unwrap();
    assert_eq!(email.hand_over(&message("ann@shop.example")).await, Answer::unknown("timeout"));
    asked.notify_one();
    said.notified().await;
    let answer = email.hand_over(&message("bob@shop.example")).await;
    assert!(!matches!(answer, Answer::Accepted { .. }), "{answer:?}");
}

#[test]
fn a_bad_configuration_is_told_whole() {
    let bad = Config {
        from: "nobody".to_owned(),
        username: Some("u".to_owned()),
        timeout_seconds: 0,
        ..config(([127, 0, 0, 1], 25).into())
    };
    assert_eq!(bad.problems().len(), 3, "{:?}", bad.problems());
}

proptest! {
    #[test]
    fn no_field_can_add_a_header(address in "\\PC{0,20}[\r\n\0]?\\PC{0,20}@shop.example", subject in "\\PC{0,40}[\r\n]{0,2}(Bcc: x@y.example)?\\PC{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let email = Email {
            builder: AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1"),
            server: Mutex::default(),
            from: "news@shop.example".parse().unwrap(),
            reply_to: None,
            mark_replies: false,
            return_path: None,
            timeout: Duration::from_secs(1),
            policy: Policy::default(),
        };
        let composed = email.compose(&Message { subject: Some(subject.clone()), ..message(&address) });
        if [&address, &subject].iter().any(|text| text.chars().any(char::is_control)) {
            prop_assert!(composed.is_err());
        }
        if let Ok(mail) = composed {
            let raw = mail.formatted();
            let parsed = MessageParser::default().parse(&raw).unwrap();
            prop_assert!(parsed.bcc().is_none());
            prop_assert_eq!(parsed.to().unwrap().iter().count(), 1);
        }
    }
}

#[test]
fn a_file_of_authorities_is_read_at_the_start_and_says_nothing_without_tls() {
    let directory = tempfile::tempdir().unwrap();
    let (empty, broken) = (directory.path().join("empty"), directory.path().join("broken"));
    std::fs::write(&empty, "no certificate").unwrap();
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n").unwrap();
    let of = |tls: &str, file: &std::path::Path| {
        let config =
            serde_json::json!({"host": "x", "port": 25, "from": "a@x.example", "tls": tls, "tls_authorities": file});
        serde_json::from_value::<Config>(config).unwrap()
    };
    for file in [&empty, &broken, &directory.path().join("missing")] {
        let problems = of("starttls", file).problems();
        let named = format!("transport.tls_authorities: {}", file.display());
        assert!(problems.len() == 1 && problems[0].starts_with(&named), "{problems:?}");
        assert!(open(&of("starttls", file)).is_err());
    }
    assert_eq!(of("none", &empty).problems()[0], "transport.tls_authorities with tls = \"none\" says nothing");
}
