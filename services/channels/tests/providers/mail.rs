//! Mail against servers that nobody here wrote: aiosmtpd takes and refuses, Postfix makes bounces.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::peers::{Peer, certificate};
use channels::bounce;
use channels::transport::{Answer, Config, Message, Transport};
use schemas::token::{Keyring, Kind, Token};
use schemas::{Id, Status};
use serde_json::{Value, json};

fn keys() -> Keyring {
    Keyring::new(vec![(1, b"links are signed with this secret".to_vec())]).expect("a key")
}

fn send_id(address: &str) -> Id {
    Id::of_instance(address, "", "", "")
}

fn message(address: &str) -> Message {
    let send_id = send_id(address);
    let token = Token {
        kind: Kind::Receipt,
        send_id,
        customer_id: "customer-1".to_owned(),
        channel: "email".to_owned(),
        expires_at: 1_800_000_000_000,
        target: String::new(),
    };
    Message {
        send_id: send_id.to_string(),
        customer_id: "customer-1".to_owned(),
        address: address.to_owned(),
        subject: Some("Ваша корзина ждёт".to_owned()),
        text: "Привет!\n".to_owned(),
        html: Some("<p>Привет!</p>".to_owned()),
        link: None,
        unsubscribe: Some("https://t.example/u/1".to_owned()),
        receipt_token: keys().sign(&token),
        return_token: Some(keys().sign_send(send_id)),
        now: 1_700_000_000_000,
        send_before: 1_700_003_600_000,
        valid_until: 1_700_003_600_000,
    }
}

fn open(port: u16) -> Box<dyn Transport> {
    let config = json!({
        "kind": "email", "host": "127.0.0.1", "port": port, "tls": "none", "from": "Лавка <news@магазин.рф>",
        "return_path": "bounces@cascade.test",
    });
    serde_json::from_value::<Config>(config).expect("a configuration").open().expect("it opens")
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().expect("text");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_carries_what_brings_its_bounce_back_and_one_click_to_unsubscribe() {
    let mut inbox = Peer::start("mail.py", &[]).await;
    let transport = open(inbox.port);
    let sent = message("anna@shop.example");
    let id = format!("<{}@xn--80aairftm.xn--p1ai>", sent.send_id);
    assert_eq!(transport.hand_over(&sent).await, Answer::taken(Some(id.clone())));
    let mail = inbox.event("mail").await;
    assert_eq!(mail["from"], format!("bounces+{}@cascade.test", sent.return_token.clone().expect("a mark")));
    assert!(mail["from"].as_str().is_some_and(|from| from.split('@').next().is_some_and(|local| local.len() <= 64)));
    let data = bytes(&mail["data"]);
    let read = mail_parser::MessageParser::default().parse(&data).expect("a mail");
    let raw = |name: &'static str| read.header_raw(name).map(str::trim);
    assert_eq!(raw("X-Cascade-Token"), sent.receipt_token.as_deref());
    assert_eq!(raw("List-Unsubscribe"), Some("<https://t.example/u/1>"));
    assert_eq!(raw("List-Unsubscribe-Post"), Some("List-Unsubscribe=One-Click"));
    assert_eq!(read.message_id(), Some(id.trim_matches(['<', '>'])));
    assert_eq!(read.body_text(0).expect("a text").trim(), "Привет!");
    assert_eq!(read.body_html(0).expect("a page").trim(), "<p>Привет!</p>");
    assert!(!String::from_utf8_lossy(&data).contains("customer-1"), "no customer's id in the clear");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_read_as_the_table_says() {
    let inbox = Peer::start("mail.py", &[]).await;
    let transport = open(inbox.port);
    let nobody = |code: &str| Answer::NobodyThere { code: format!("smtp_{code}") };
    let refused = |code: &str| Answer::Refused { code: format!("smtp_{code}") };
    let waits = |code: &str| Answer::NotTaken { code: format!("smtp_{code}"), retry_after: None };
    let rows = [
        ("550-5.1.1", nobody("5.1.1")),
        ("550-5.1.10-data", nobody("5.1.10")),
        ("550-5.2.1", nobody("5.2.1")),
        ("552-5.2.2", refused("5.2.2")),
        ("552-5.3.4-data", refused("5.3.4")),
        ("550", refused("550")),
        ("550-5.7.1", waits("5.7.1")),
        ("554-5.7.26-data", waits("5.7.26")),
        ("553-5.1.8", waits("5.1.8")),
        ("530-5.7.0", waits("5.7.0")),
        ("521", waits("521")),
        ("452-4.2.2", waits("452")),
        ("421-4.7.0-data", waits("421")),
    ];
    for (local, answer) in rows {
        assert_eq!(transport.hand_over(&message(&format!("{local}@shop.example"))).await, answer, "{local}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_in_other_letters_arrive() {
    let mut inbox = Peer::start("mail.py", &[]).await;
    let transport = open(inbox.port);
    assert!(matches!(transport.hand_over(&message("anna@почта.рф")).await, Answer::Accepted { .. }));
    let mail = inbox.event("mail").await;
    assert_eq!((&mail["to"], &mail["smtputf8"]), (&json!(["anna@xn--80a1acny.xn--p1ai"]), &json!(false)));
    assert!(matches!(transport.hand_over(&message("анна@почта.рф")).await, Answer::Accepted { .. }));
    let mail = inbox.event("mail").await;
    assert_eq!((&mail["to"], &mail["smtputf8"]), (&json!(["анна@xn--80a1acny.xn--p1ai"]), &json!(true)));

    let plain = Peer::start("mail.py", &[Path::new("--plain")]).await;
    let transport = open(plain.port);
    assert_eq!(transport.hand_over(&message("анна@почта.рф")).await, Answer::Unfit { code: "smtp_client".to_owned() });
    assert!(matches!(transport.hand_over(&message("anna@почта.рф")).await, Answer::Accepted { .. }));
}

/// A Postfix of our own, in a directory of its own.
struct Postfix {
    directory: tempfile::TempDir,
    port: u16,
}

impl Postfix {
    fn start(far: u16, bounces: u16) -> Self {
        let directory = tempfile::Builder::new().prefix("postfix").tempdir_in("/var/tmp").expect("a directory");
        let path = directory.path().display().to_string();
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let script = r#"
            chmod 755 "$1"; mkdir -p "$1/etc" "$1/spool" "$1/data"; chown postfix "$1/data"
            sed -E "s/^smtp +inet.*/127.0.0.1:$2 inet n - n - - smtpd/; /^[a-z]/s/^(([^ ]+ +){4})y/\1n/" /usr/share/postfix/master.cf.dist > "$1/etc/master.cf"
            cat > "$1/etc/main.cf" <<END
compatibility_level = 3.6
queue_directory = $1/spool
data_directory = $1/data
maillog_file = $1/maillog
maillog_file_prefixes = $1
myhostname = mx.relay.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
alias_maps =
alias_database =
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = none
transport_maps = inline:{far.test=smtp:[127.0.0.1]:$3, cascade.test=smtp:[127.0.0.1]:$4}
default_transport = error:5.1.2 no such domain in this test
maximal_queue_lifetime = 3s
bounce_queue_lifetime = 3s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
END
            postfix -c "$1/etc" start"#;
        let started = Command::new("bash")
            .args(["-ec", script, "postfix", &path, &port.to_string(), &far.to_string(), &bounces.to_string()])
            .output()
            .expect("bash runs");
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        Postfix { directory, port }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        drop(Command::new("postfix").arg("-c").arg(self.directory.path().join("etc")).arg("stop").output());
    }
}

/// What becomes of the mails to a real server's far side, as its own bounces tell. `RECORD_BOUNCES=1` writes them down as the
/// samples of `bounce`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounces_of_a_real_server_find_their_sends() {
    let installed = Path::new("/usr/sbin/postfix").exists();
    assert!(
        installed,
        "Postfix is not installed, so nobody makes bounces here: run deploy/setup.sh, or leave this test out by --skip"
    );
    let far = Peer::start("mail.py", &[]).await;
    let mut intake = Peer::start("mail.py", &[]).await;
    let server = Postfix::start(far.port, intake.port);
    let transport = open(server.port);
    let cases = [
        ("550-5.1.1@far.test", Status::BouncedHard, "dsn_5.1.1"),
        ("452-4.2.2@far.test", Status::Failed, "dsn_4.2.2"),
        ("550-5.7.1-data@far.test", Status::Failed, "dsn_5.7.1"),
        ("nobody@nowhere.test", Status::BouncedHard, "dsn_5.1.2"),
    ];
    for (address, ..) in cases {
        let mut answer = transport.hand_over(&message(address)).await;
        // The server comes up.
        for _ in 0..100 {
            if !matches!(&answer, Answer::NotTaken { code, .. } if code == "connection") {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            answer = transport.hand_over(&message(address)).await;
        }
        if address.ends_with("nowhere.test") {
            assert_eq!(answer, Answer::NobodyThere { code: "smtp_5.1.2".to_owned() }, "refused at once, so no bounce");
        } else {
            assert!(matches!(answer, Answer::Accepted { .. }), "{address}: {answer:?}");
        }
    }
    let mut missing: Vec<_> = cases[..3].to_vec();
    while !missing.is_empty() {
        let mail = intake.event("mail").await;
        let data = bytes(&mail["data"]);
        let read = bounce::read(&data, &keys()).expect("a report about a send of ours");
        let at = missing.iter().position(|(address, ..)| send_id(address) == read.send_id).expect("one of them, once");
        let (address, status, code) = missing.remove(at);
        assert_eq!((read.status, read.code.as_deref()), (status, Some(code)), "{address}");
        assert_eq!(read.whose, Some(("customer-1".to_owned(), "email".to_owned())));
        assert_eq!(mail["from"], "<>", "nobody answers a bounce");
        if std::env::var_os("RECORD_BOUNCES").is_some() {
            let name = format!("postfix-{}.eml", code.trim_start_matches("dsn_"));
            let samples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/bounce/samples");
            let host = hostname();
            let text = String::from_utf8_lossy(&data).replace(&host, "mx.relay.test");
            let head = format!("Return-Path: <>\r\nDelivered-To: {}\r\n", mail["to"][0].as_str().expect("an address"));
            std::fs::write(samples.join(name), head + &text).expect("it can be written");
        }
    }
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_private_authority_is_known_by_it_and_its_connection_is_used_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let (own, key) = certificate(directory.path(), "own");
    let (other, _) = certificate(directory.path(), "other");
    let password = directory.path().join("password");
    std::fs::write(&password, "sesame").expect("a file");
    let wrong_password = directory.path().join("wrong");
    std::fs::write(&wrong_password, "abracadabra").expect("a file");
    for (argument, tls) in [("--tls", "tls"), ("--starttls", "starttls")] {
        let mut server = Peer::start("mail.py", &[Path::new(argument), &own, &key]).await;
        let port = server.port;
        let open = |authorities: Option<&Path>, password: &Path| {
            let config = json!({
                "kind": "email", "host": "127.0.0.1", "port": port, "tls": tls, "tls_authorities": authorities, "from": "news@shop.example",
                "username": "shop", "password": {"file": password},
            });
            serde_json::from_value::<Config>(config).expect("a configuration").open().expect("it opens")
        };
        for (authorities, why) in [(Some(other.as_path()), "another authority"), (None, "the system's")] {
            let answer = open(authorities, &password).hand_over(&message("stranger@anywhere")).await;
            let Answer::NotTaken { code, .. } = &answer else { panic!("{tls}, {why}: {answer:?}") };
            assert!(["connection", "tls"].contains(&code.as_str()), "{tls}, {why}: {code}");
        }
        let answer = open(Some(&own), &wrong_password).hand_over(&message("stranger@anywhere")).await;
        assert!(matches!(&answer, Answer::NotTaken { code, .. } if code == "smtp_5.7.8"), "{tls}: {answer:?}");

        let known = open(Some(&own), &password);
        let mut connections = Vec::new();
        // The library puts a connection back beside the answer, so the very next mail may be too early for it.
        while connections.iter().all(|one| connections.iter().filter(|other| *other == one).count() == 1) {
            assert!(connections.len() < 50, "{tls}: each mail has a connection of its own");
            let address = format!("{}@anywhere", connections.len());
            let answer = known.hand_over(&message(&address)).await;
            assert!(matches!(answer, Answer::Accepted { .. }), "{tls}: {answer:?}");
            let mail = server.event("mail").await;
            assert_eq!(
                (&mail["to"], &mail["encrypted"], &mail["authenticated"]),
                (&json!([address]), &json!(true), &json!(true))
            );
            connections.push(mail["connection"].to_string());
        }
    }
}
