//! No address, name, text or token comes to light anywhere in the product: marked ones go through all of it, by every way in and back,
//! also by those on which something is wrong. Then all that people look at is searched: logs of every service at the level debug,
//! metrics, what the tools print, and the topics that are to hold none of it.
//!
//! Where such values are kept, they are kept on purpose, and the test sees that they are there: in the topics of the shop, `input`,
//! `send.<channel>`, the rows (`changelog`), `reply`, and the untouched value of a dead letter.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use schemas::{Action, Consent, Contact, Profile, Status};
use serde_json::{Value, json};
use system_tests::http::{client, runtime, send};
use system_tests::installation::{HOUR, Installation, Plan};
use system_tests::wait::until;

/// A mail first; to whom it does not get, an SMS.
const HELLO: &str = "
campaign: hello
version: 1
trigger: {on: action, action: lead, key: key}
goal: {action: purchase}
stop: goal
steps:
  - {name: mail, channel: email, template: hello, wait: 1h, next_if: [not delivered, no information, cannot send], valid: 12h}
  - {name: sms, channel: sms, template: hello, segments: 10, wait: 7d, valid: 12h}
";

const SECRET: &str = "what-was-agreed-with-the-gateway";

/// Part of every name, text and address of the test but numbers.
const MARK: &str = "MaRkEd";
/// The end of every number.
const NUMBER: &str = "5550173";

/// What the providers were given: addresses, texts, tokens.
#[derive(Default)]
struct Given {
    texts: Vec<String>,
    mails: String,
    asked: BTreeMap<String, usize>,
}

type Shared = Arc<Mutex<Given>>;

fn lock(given: &Shared) -> std::sync::MutexGuard<'_, Given> {
    given.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A gateway that repeats in every answer what it was asked. The first time it is away; who has a seven is nobody.
async fn gateway(State(given): State<Shared>, Json(body): Json<Value>) -> Response {
    let to = body["to"].as_str().unwrap_or_default().to_owned();
    let times = {
        let mut given = lock(&given);
        given.texts.push(body.to_string());
        let times = given.asked.entry(to.clone()).or_default();
        *times += 1;
        *times
    };
    let quoted = json!({"code": to, "message": format!("{MARK} said: {body}"), "provider_id": format!("id-{}", to.trim_start_matches('+').get(..4).unwrap_or_default())});
    match times {
        1 => (StatusCode::SERVICE_UNAVAILABLE, Json(quoted)).into_response(),
        _ if to.starts_with("+7") => (StatusCode::BAD_REQUEST, Json(quoted)).into_response(),
        _ => Json(quoted).into_response(),
    }
}

fn listen(given: &Shared) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.set_nonblocking(true).expect("it is a socket");
    let address = listener.local_addr().expect("it is bound");
    let routes = Router::new().route("/", post(gateway)).with_state(Arc::clone(given));
    let _inside = runtime().enter();
    let listener = tokio::net::TcpListener::from_std(listener).expect("it does not block");
    drop(runtime().spawn(async move { axum::serve(listener, routes).await }));
    address
}

/// A mail server that repeats what it was told in each refusal: it refuses recipients without a `yes`.
fn mail_server(given: &Shared) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let (address, given) = (listener.local_addr().expect("it is bound"), Arc::clone(given));
    let serve = move || {
        for stream in listener.incoming().flatten() {
            let given = Arc::clone(&given);
            // A connection that breaks is the client's affair.
            let session = move || drop(talk(&stream, &given));
            stream::thread::spawn("mail", session).expect("there is a thread left");
        }
    };
    stream::thread::spawn("mail server", serve).expect("there is a thread left");
    address
}

fn talk(stream: &TcpStream, given: &Shared) -> std::io::Result<()> {
    let mut out = stream;
    out.write_all(b"220 peer\r\n")?;
    let mut in_data = false;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        lock(given).mails.push_str(&format!("{line}\n"));
        let answer = match line.split(' ').next().unwrap_or_default() {
            "." => "250 2.0.0 taken".to_owned(),
            _ if in_data => continue,
            "DATA" => "354 go on".to_owned(),
            "RCPT" if !line.contains("yes") => format!("550 5.1.1 {MARK} there is no {line}"),
            _ => format!("250 2.0.0 {line}"),
        };
        in_data = answer.starts_with("354");
        out.write_all(format!("{answer}\r\n").as_bytes())?;
    }
    Ok(())
}

/// Everything goes through these providers, everything is logged, and messages have a name, a field, a code and a link in them.
fn installed(given: &Shared) -> Installation {
    let templates = ["hello.email".to_owned(), "hello.sms".to_owned()];
    let gateway = Some(listen(given));
    let plan = Plan { gateway, plain_templates: &templates, ..Plan::new("marks", &[HELLO], &["email", "sms"]) };
    let shop = Installation::prepare(&plan);
    for name in ["hello.email.txt", "hello.sms.txt"] {
        let text = format!(
            "{{{{ name }}}} {{{{ points }}}} {MARK} {{{{ promo_code() }}}} {{{{ track(\"https://shop.test/{MARK}\") }}}}"
        );
        std::fs::write(shop.place.path("templates").join(name), text).expect("it can be written");
    }
    let (path, mail) = (shop.place.path("cascade.toml"), mail_server(given));
    let secret = shop.place.path("hook-secret");
    std::fs::write(&secret, SECRET).expect("it can be written");
    let read = std::fs::read_to_string(&path).expect("settings");
    let mut settings: toml::Table = read.parse().expect("settings are TOML");
    let toml = |value: Value| toml::Value::try_from(value).expect("settings are TOML");
    settings.insert("log".to_owned(), toml(json!({"level": "debug"})));
    let channel = settings["channel"].as_table_mut().expect("a section");
    for name in ["email", "sms"] {
        let section = channel[name].as_table_mut().expect("a section");
        section.insert("content".to_owned(), toml(json!({"code_secret": {"file": secret}})));
    }
    channel["email"]["transport"]["host"] = toml(json!("127.0.0.1"));
    channel["email"]["transport"]["port"] = toml(json!(mail.port()));
    let hook = json!({"kind": "http", "secret": {"file": secret}, "post": {
        "proof": {"header": "x-token"}, "id": "/id", "status": "/status", "token": "/token", "statuses": {"DELIVRD": "delivered"},
        "reply": {"at": "/text", "sender": "/from", "text": "/text"},
    }});
    channel["sms"].as_table_mut().expect("a section").insert("hook".to_owned(), toml(hook));
    std::fs::write(&path, settings.to_string()).expect("it can be written");
    shop
}

/// Two who are written to by mail and SMS, and one whose mail is taken.
const CUSTOMERS: [(&str, &str, &str); 3] = [("ann", "+4930", "no"), ("bea", "+7900", "no"), ("cid", "+4940", "yes")];

fn tell(shop: &Installation) {
    for (customer, prefix, mail) in CUSTOMERS {
        let contacts =
            [("sms", format!("{prefix}{NUMBER}")), ("email", format!("{MARK}-{mail}-{customer}@example.test"))];
        let consents = ["sms", "email"].map(|channel| Consent {
            channel: channel.to_owned(),
            granted: true,
            at: shop.now(),
            source: MARK.to_owned(),
            text_version: "1".to_owned(),
        });
        let contacts = contacts.map(|(channel, address)| Contact { channel: channel.to_owned(), address });
        let profile = Profile {
            event_id: format!("profile-{customer}"),
            customer_id: customer.to_owned(),
            occurred_at: shop.now(),
            contacts: contacts.into(),
            consents: consents.into(),
            attributes: [("name".to_owned(), format!("{MARK}name"))].into(),
            ..Profile::default()
        };
        shop.tell(&shop.topics.profile(), customer, &profile);
    }
    shop.settle();
    for (customer, ..) in CUSTOMERS {
        shop.action(customer, "lead", Some("k"), &[("points", &format!("{MARK}points"))]);
    }
}

fn posted(shop: &Installation, path: &str, token: &str, body: &str) -> u16 {
    let address = std::fs::read_to_string(shop.place.path("tracker.address")).expect("the tracker listens");
    let request =
        client().post(format!("http://{}{path}", address.trim())).header("x-token", token).body(body.to_owned());
    send(request).expect("the tracker answers").0.as_u16()
}

/// What comes back from the gateway, and what is wrong with what comes.
fn come_back(shop: &Installation) {
    let number = format!("4930{NUMBER}");
    let receipt = json!({"id": "id-4930", "status": "DELIVRD", "note": MARK, "to": number}).to_string();
    assert_eq!(posted(shop, "/hooks/sms", SECRET, &receipt), 200);
    let reply = json!({"from": number, "text": format!("{MARK}reply")}).to_string();
    assert_eq!(posted(shop, "/hooks/sms", SECRET, &reply), 200);
    let about_nothing = json!({"id": MARK, "status": "DELIVRD", "token": MARK}).to_string();
    for (path, token, body, answer) in [
        ("/hooks/sms", format!("{MARK}-a-wrong-one"), reply.as_str(), 401),
        ("/hooks/sms", SECRET.to_owned(), &format!("{MARK} {number}"), 200),
        ("/hooks/sms", SECRET.to_owned(), &json!({"from": format!("4931{NUMBER}"), "text": MARK}).to_string(), 200),
        // It has to be said again, since our own record may only be late.
        ("/hooks/sms", SECRET.to_owned(), &about_nothing, 503),
        ("/hooks/sms", SECRET.to_owned(), &about_nothing, 200),
        ("/receipts/sandbox", String::new(), &json!({"token": MARK, "status": MARK}).to_string(), 401),
        ("/events/sandbox", String::new(), &json!({"type": "action", "data": {"customer_id": MARK}}).to_string(), 401),
        (&format!("/u/{MARK}"), String::new(), MARK, 404),
    ] {
        assert_eq!(posted(shop, path, &token, body), answer, "{path}: {body}");
    }
    for body in [format!("{MARK} {number}"), json!([{"token": MARK, "status": MARK, "code": number}]).to_string()] {
        assert!(shop.post_receipt(&body).is_some_and(|status| status != 503), "{body}");
    }
    let event = |data: Value| json!([{"type": "action", "data": data}]).to_string();
    for body in [
        format!("{MARK} {number}"),
        event(json!({"customer_id": MARK, "occurred_at": MARK, "action": number})),
        event(json!({"customer_id": number, "occurred_at": 1, "attributes": {"name": [MARK]}})),
    ] {
        assert_eq!(shop.post_signed("/events/sandbox", &body), Some(400), "{body}");
    }
}

/// Records that nobody can read, on every topic that is read.
fn poison(shop: &Installation) {
    let garbage = format!("\0\u{1}{MARK} {NUMBER} is not Avro");
    let nobody = Action { action: format!("{MARK}action"), key: Some(format!("7900{NUMBER}")), ..Action::default() };
    shop.tell(&shop.topics.action(), "", &nobody);
    let topics = [shop.topics.action(), shop.topics.profile(), shop.topics.input(), shop.topics.send("sms")];
    for topic in topics {
        shop.feed.send(&topic, "ann", garbage.as_bytes());
        shop.feed.send(&topic, "ann", format!("{{\"address\": \"{MARK}\"}}").as_bytes());
    }
    shop.settle();
}

/// What the tools print of all this, on stdout or stderr.
fn tools(shop: &Installation) -> Vec<(String, String)> {
    let lines = format!(
        "{{\"customer_id\":\"dan\",\"occurred_at\":\"{MARK}\",\"action\":\"{MARK}\"}}\n{MARK} {NUMBER} is no JSON\n\
         {{\"customer_id\":\"dan\",\"occurred_at\":1,\"action\":\"visit\",\"attributes\":[\"{MARK}{NUMBER}\"]}}\n"
    );
    let table = format!("customer_id,occurred_at,action,key\ndan,{MARK},{MARK},7900{NUMBER}\ndan,1\n\"{MARK}\n");
    for (name, text) in [("bad.ndjson", lines), ("bad.csv", table)] {
        std::fs::write(shop.place.path(name), text).expect("it can be written");
    }
    let (ndjson, csv) = (shop.place.path("bad.ndjson"), shop.place.path("bad.csv"));
    let import = |file: &std::path::Path, more: &str| format!("import {} --kind action{more}", file.display());
    let commands = [
        "doctor".to_owned(),
        "dlq list".to_owned(),
        "dlq show".to_owned(),
        "dlq redrive".to_owned(),
        "journal --customer ann".to_owned(),
        "journal --customer bea --json".to_owned(),
        "campaign list".to_owned(),
        "config explain".to_owned(),
        import(&ndjson, ""),
        import(&ndjson, " --dry-run"),
        import(&csv, ""),
        import(&csv, " --skip-bad"),
    ];
    let printed = commands.map(|command| {
        let (_, words) = shop.try_tool(command.split(' '));
        (command, words)
    });
    printed.into()
}

/// Whatever must not be found: the marks, and what was made of them on the way.
fn marks(given: &Given) -> Vec<String> {
    let mut marks = vec![MARK.to_owned(), MARK.to_lowercase(), NUMBER.to_owned(), SECRET.to_owned()];
    for body in &given.texts {
        let body: Value = serde_json::from_str(body).expect("the worker sends JSON");
        marks.extend(body["receipt_token"].as_str().map(str::to_owned));
        let text = body["text"].as_str().unwrap_or_default();
        let of_message = text.split(' ').filter(|word| word.contains('-') || word.contains("/c/"));
        marks.extend(of_message.map(|word| word.rsplit('/').next().unwrap_or(word).to_owned()));
    }
    let links = given.mails.split(['<', '>', ' ', '\n']).filter_map(|word| word.split_once("/u/"));
    marks.extend(links.map(|(_, token)| token.trim_end_matches('=').to_owned()));
    marks.retain(|mark| mark.len() >= MARK.len());
    marks.sort();
    marks.dedup();
    marks
}

#[track_caller]
fn assert_hidden(marks: &[String], place: &str, bytes: &[u8]) {
    for mark in marks {
        let found = bytes.windows(mark.len()).position(|part| part == mark.as_bytes());
        let context =
            found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(300)..(at + 100).min(bytes.len())]));
        assert!(found.is_none(), "{mark} is in {place}: {}", context.unwrap_or_default());
    }
}

#[test]
fn nothing_that_is_marked_comes_to_light_on_any_way() {
    let given = Shared::default();
    let mut shop = installed(&given);
    let services = ["tracker", "intake", "operator", "channel email", "channel sms"];
    shop.bring_up(&services);
    tell(&shop);
    shop.settle();
    shop.pass(2 * HOUR);
    let taken = |shop: &Installation, status| {
        let all = shop.read(&shop.topics.feedback());
        all.iter().map(|record| record.decode::<schemas::Feedback>()).filter(|word| word.status == status).count()
    };
    until("three SMS have an outcome, and three mails", || {
        taken(&shop, Status::Accepted) >= 3 && taken(&shop, Status::Refused) + taken(&shop, Status::BouncedHard) >= 3
    });
    come_back(&shop);
    assert_eq!((taken(&shop, Status::Delivered), taken(&shop, Status::Replied)), (1, 1), "what came back was heard");
    poison(&shop);
    let printed = tools(&shop);

    // The marks went all the way.
    let given = lock(&given);
    let marks = marks(&given);
    assert!(marks.len() >= 10, "codes, tokens and links are known: {marks:?}");
    let whole = given.texts.iter().find(|text| text.contains(&format!("{MARK}name {MARK}points {MARK}")));
    assert!(whole.is_some_and(|text| text.contains(NUMBER) && text.contains("receipt_token")), "{:?}", given.texts);
    assert!(given.mails.contains(&format!("{MARK}-yes-cid@")) && given.mails.contains("/u/"), "{}", given.mails);
    let holds = |topic: &str, mark: &str| {
        let all = shop.read(topic);
        let mut values = all.iter().filter_map(|record| record.value.as_deref());
        values.any(|value| value.windows(mark.len()).any(|part| part == mark.as_bytes()))
    };
    let topics = &shop.topics;
    for topic in
        [topics.action(), topics.profile(), topics.input(), topics.changelog(), topics.send("sms"), topics.reply()]
    {
        assert!(holds(&topic, MARK), "{topic} keeps what it has to keep");
    }
    let letters = shop.read(&topics.dead_letter());
    assert!(letters.len() >= 7 && holds(&topics.dead_letter(), MARK), "{} letters", letters.len());

    // And came to light nowhere.
    for letter in &letters {
        for (name, value) in &letter.headers {
            assert_hidden(&marks, &format!("the header {name} of a dead letter"), value);
        }
    }
    for topic in [topics.journal(), topics.feedback(), topics.revoke(), topics.attempt("email"), topics.attempt("sms")]
    {
        let records = shop.read(&topic);
        assert!(!records.is_empty() || topic == topics.revoke(), "{topic} is read");
        for record in records {
            let headers = record.headers.into_iter().flat_map(|(name, value)| [name.into_bytes(), value]);
            let parts = [record.key, record.value.unwrap_or_default()].into_iter().chain(headers);
            parts.for_each(|part| assert_hidden(&marks, &topic, &part));
        }
    }
    for (command, words) in printed {
        assert!(!words.is_empty(), "{command} says something");
        assert_hidden(&marks, &format!("what `cascade {command}` prints"), words.as_bytes());
    }
    for name in services {
        let service = shop.service(name);
        assert_hidden(&marks, &format!("the metrics of {name}"), service.metrics().as_bytes());
        let said = service.process().said();
        assert!(said.contains("DEBUG"), "{name} logs everything");
        assert_hidden(&marks, &format!("the log of {name}"), said.as_bytes());
    }
}
