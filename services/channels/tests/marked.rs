//! No address, text or token comes to light: marked ones go through every transport, against providers that say whatever they are
//! documented to say, and repeat what they were given in it. Then all that can be shown is searched: `Debug` of everything, codes, and
//! all log lines of ours and of the libraries.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use channels::transport::{Answer, Config, Message, Secret, Transport};
use serde_json::{Value, json};
use tracing_subscriber::util::SubscriberInitExt;

#[path = "../src/transport/double.rs"]
#[allow(dead_code, reason = "this test needs a part of it")]
mod double;

#[path = "marked/sessions.rs"]
mod sessions;

use double::{Asked, Double, Saying, secret};
use tokio::time::{Duration, timeout};

/// Part of everything that must not be seen.
const MARK: &str = "MARKED";

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn place(text: &str) -> (Value, tempfile::NamedTempFile) {
    let (secret, file) = secret(text);
    let Secret::File(path) = secret else { panic!("it is a file") };
    (json!({"file": path}), file)
}

/// Every transport that calls by HTTP: kind, address, further settings, and what its provider is documented to say.
fn transports(at: &str) -> Vec<(&'static str, String, Value, &'static str)> {
    let account = json!({
        "project_id": "shop",
        "client_email": "push@shop.example",
        "private_key": include_str!("../src/transport/fcm/key.pem"),
        "token_uri": format!("{at}/token"),
    });
    let keys = json!({
        "p256dh": "BLn9b-VR0ca83knDNZ32dCHGyjJp-1riX9ZTN40MqV8K_LpQmLqxC_DoHvqvFXO_nGdAB4W9dogZb_sM-uV4JbY",
        "auth": "_ordMnz7uTCmrpBTeUV4Bw",
    });
    let subscription = json!({"endpoint": format!("{at}/{MARK}"), "keys": keys}).to_string();
    let address = || format!("{MARK}address");
    macro_rules! answers {
        ($name:literal) => {
            include_str!(concat!("../src/transport/answers/", $name, ".json"))
        };
    }
    let apple = json!({"key": EC_KEY, "key_id": "k", "team_id": "t", "topic": "example.shop", "url": at});
    let meta = |product: &str| json!({"product": product, "sender": "1", "token": "word", "url": at});
    vec![
        ("telegram", address(), json!({"token": "word", "url": at}), answers!("telegram")),
        ("fcm", address(), json!({"service_account": account.to_string(), "url": at}), answers!("fcm")),
        ("apns", address(), apple, answers!("apns")),
        (
            "web_push",
            subscription,
            json!({"key": VAPID_KEY, "subject": "mailto:a@shop.example", "allow_private_hosts": true}),
            answers!("web_push"),
        ),
        ("meta", address(), meta("whatsapp"), answers!("meta")),
        ("meta", address(), meta("messenger"), answers!("meta")),
        ("viber", address(), json!({"token": "word", "sender": "Shop", "url": at}), answers!("viber")),
        ("vk", address(), json!({"token": "word", "url": at}), answers!("vk")),
        ("exolve", address(), json!({"token": "word", "sender": "Shop", "url": at}), answers!("exolve")),
        (
            "webhook",
            address(),
            json!({"secret": "word", "url": format!("{at}/{MARK}"), "allow_private_hosts": true}),
            answers!("webhook"),
        ),
        ("http", address(), json!({"bearer": "word", "url": at, "headers": {"x-key": MARK}}), answers!("webhook")),
    ]
}

/// Keys of nobody's.
const EC_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQUBrSb/JVhQjC3FP\n\
    5DVS3RXdNtoUGeEylsCjzPyBAJahRANCAASezycKxq8eBFZCsD3uIMagS0+S//y4\n\
    WDeTECqdvKLSiU/2IekdQWRUSXrPpOtQJKQ5UyjUyfyy2Wy0f9dzW5PW\n\
    -----END PRIVATE KEY-----";
const VAPID_KEY: &str = "RS0WdYWWo1HajXg3NZR1olzCf31i-ZBGDkFyCs7j1jw";

/// Settings name places of secrets: each secret goes to a file, and its words hold the mark where any words will do.
fn configured(kind: &str, settings: &Value) -> (Config, Vec<tempfile::NamedTempFile>) {
    let mut settings = settings.clone();
    let mut files = Vec::new();
    let mut keep = |value: &mut Value| {
        let text = value.as_str().unwrap();
        let (named, file) = place(if text == "word" { "MARKEDtoken" } else { text });
        *value = named;
        files.push(file);
    };
    for name in ["token", "key", "service_account", "bearer", "secret"] {
        settings.get_mut(name).into_iter().for_each(&mut keep);
    }
    settings["kind"] = json!(kind);
    (serde_json::from_value(settings).unwrap(), files)
}

/// The same answer by a provider that repeats in every text what it was asked about.
fn repeated(value: &mut Value, by: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = by(text),
        Value::Array(list) => list.iter_mut().for_each(|value| repeated(value, by)),
        Value::Object(map) => map.values_mut().for_each(|value| repeated(value, by)),
        _ => {}
    }
}

fn message(address: &str) -> Message {
    Message {
        text: format!("{MARK} text"),
        subject: Some(format!("{MARK} subject")),
        link: Some(format!("https://t.example/{MARK}")),
        receipt_token: Some(format!("{MARK}receipt")),
        ..double::message(address)
    }
}

fn says(kind: &str, saying: &Saying, asked: &Asked) -> Saying {
    let of_login = saying.about.starts_with("login");
    match kind {
        "fcm" if asked.line().starts_with("POST /token ") && !of_login => {
            Saying::of(200, json!({"access_token": "MARKEDaccess", "expires_in": 3_599}))
        }
        _ => saying.clone(),
    }
}

async fn double(kind: &'static str, saying: Saying) -> Double {
    let script = move |asked: &Asked| says(kind, &saying, asked);
    if kind == "apns" { Double::http2(script).await } else { Double::start(script).await }
}

/// Mails, to a server that says no at each moment, with a login.
async fn mailed() -> usize {
    for case in sessions::MAILS {
        let (port, _server) = sessions::mail(case).await;
        let (password, _file) = place("MARKEDpassword");
        let config = json!({
            "kind": "email", "host": "127.0.0.1", "port": port, "tls": "none", "from": "Shop <news@shop.example>",
            "username": "shop", "password": password, "timeout_seconds": 5,
        });
        let config: Config = serde_json::from_value(config).unwrap();
        let shown = shown(&config, "MARKEDanna@shop.example").await;
        let wanted = if case == ("", "") { "Accepted" } else { "code: " };
        assert!(!shown.contains(MARK) && shown.contains(wanted), "{case:?}: {shown}");
    }
    sessions::MAILS.len()
}

/// SMS, to a centre with each status, and what it then says of its own accord.
async fn texted() -> usize {
    for status in sessions::STATUSES {
        let (port, _centre) = sessions::centre(status).await;
        let (password, _file) = place("MARKEDpw");
        let config = json!({
            "kind": "smpp", "host": "127.0.0.1", "port": port, "system_id": "cascade", "password": password,
            "source": "Shop", "timeout_seconds": 2,
        });
        let config: Config = serde_json::from_value(config).unwrap();
        let (message, transport) = (message("+79001234567"), config.open().unwrap());
        let mut ear = transport.ear().unwrap();
        let mut answer = transport.hand_over(&message).await;
        for _ in 0..500 {
            if !matches!(&answer, Answer::NotTaken { code, .. } if code == "connection") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            answer = transport.hand_over(&message).await;
        }
        let mut words = Vec::new();
        while status == Some(0)
            && words.len() < 4
            && let Ok(Some(word)) = timeout(Duration::from_secs(5), ear.words.recv()).await
        {
            words.push(word);
        }
        let shown = format!("{config:?} {transport:?} {message:?} {answer:?} {words:?}");
        assert!(!shown.contains(MARK) && !shown.contains("9001234567"), "{status:?}: {shown}");
        assert_eq!(matches!(answer, Answer::Accepted { .. }), status == Some(0), "{answer:?}");
        assert_eq!(words.is_empty(), status != Some(0), "the centre speaks after it has taken one");
    }
    sessions::STATUSES.len()
}

/// What people tell a bot, and what Telegram says where it tells nothing.
async fn told() -> usize {
    let person = json!({"id": 790_012_345_671_i64, "is_bot": false, "first_name": MARK, "username": MARK});
    let chat = json!({"id": 790_012_345_671_i64, "type": "private", "first_name": MARK});
    let message = |text: &str| json!({"chat": chat, "from": person, "date": 1_700_000_000, "text": text});
    let blocked =
        json!({"chat": chat, "from": person, "date": 1, "new_chat_member": {"user": person, "status": "kicked"}});
    let updates = json!([
        {"update_id": 1, "message": message(MARK)},
        {"update_id": 2, "message": message("/stop")},
        {"update_id": 3, "my_chat_member": blocked},
        {"update_id": 4, "edited_message": message(MARK)},
        {"update_id": MARK, "message": MARK},
    ]);
    let silent =
        |status: u16| Saying::of(status, json!({"ok": false, "description": format!("bot{MARK}token: {MARK}")}));
    let sayings =
        [Saying::of(200, json!({"ok": true, "result": updates})), silent(401), silent(404), silent(409), silent(429)];
    let mut heard = 0;
    for saying in [&sayings[..], &[silent(500), Saying::of(200, json!(MARK)), Saying::of(0, Value::Null)]].concat() {
        let double = Double::saying(saying.clone()).await;
        let (config, _files) = configured("telegram", &json!({"token": "word", "url": double.url(), "receive": true}));
        let transport = config.open().unwrap();
        let mut ear = transport.ear().unwrap();
        let wanted = if saying.body["ok"] == true { 5 } else { 1 };
        for _ in 0..wanted {
            let word = timeout(Duration::from_secs(5), ear.words.recv()).await.expect("in time").expect("a word");
            let shown = format!("{transport:?} {word:?}");
            assert!(!shown.contains(MARK) && !shown.contains("9001234567"), "{saying:?}: {shown}");
            heard += usize::from(word.text.is_some());
        }
    }
    heard
}

/// Hands a marked message over and gives back all that may be shown.
async fn shown(config: &Config, address: &str) -> String {
    let (message, transport) = (message(address), config.open().unwrap());
    let answer: Answer = transport.hand_over(&message).await;
    format!("{config:?} {transport:?} {message:?} {answer:?}")
}

fn answers(json: &str) -> Vec<Saying> {
    let mut answers = serde_json::from_str::<double::Recorded>(json).unwrap().answers;
    let mut telling: Vec<Saying> =
        answers.iter().filter(|saying| !saying.read_as.starts_with("accepted")).cloned().collect();
    // One that says nothing but the address.
    let mut bare = telling.clone();
    telling.iter_mut().for_each(|saying| repeated(&mut saying.body, &|text| format!("to {MARK}: {text}")));
    bare.iter_mut().for_each(|saying| repeated(&mut saying.body, &|_| format!("{MARK}address")));
    answers.append(&mut telling);
    answers.append(&mut bare);
    // It hangs up.
    answers.push(Saying::of(0, Value::Null));
    answers
}

#[tokio::test]
async fn nothing_that_is_marked_is_ever_shown() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(move || writer.clone()).finish().init();
    tracing::debug!("the log is read");
    let away: SocketAddr = ([127, 0, 0, 1], 1).into();
    let mut calls = 0;
    for number in 0..transports("").len() {
        let kind = transports("")[number].0;
        for saying in answers(transports("")[number].3) {
            let double = double(kind, saying.clone()).await;
            let (_, address, settings, _) = transports(&double.url()).swap_remove(number);
            let (config, _files) = configured(kind, &settings);
            let shown = shown(&config, &address).await;
            assert!(!shown.contains(MARK), "{kind}, {saying:?}: {shown}");
            assert!(!double.asked().is_empty(), "{kind} calls");
            calls += 1;
        }
        let (_, address, settings, _) = transports(&format!("http://{away}")).swap_remove(number);
        let (config, _files) = configured(kind, &settings);
        let shown = shown(&config, &address).await;
        assert!(!shown.contains(MARK), "{kind} away: {shown}");
    }
    assert_eq!(told().await, 2, "what is hidden is there");
    let sessions = mailed().await + texted().await;
    assert!(sessions >= 20, "{sessions} sessions");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the log is read") && calls > 300, "{calls} calls");
    let is_marked = |line: &&str| line.contains(MARK) || line.contains("9001234567");
    let lines: Vec<&str> = log.lines().filter(is_marked).collect();
    assert!(lines.is_empty(), "{lines:#?}");
}
