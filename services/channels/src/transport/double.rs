//! Doubles of providers on loopback: they say what the providers' documentation says (`answers/<provider>.json`), and keep what
//! they were asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Answer, Message, Secret, Transport};

/// What a provider answers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saying {
    /// What it is about, in words.
    #[serde(default)]
    pub(super) about: String,
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// JSON, or a text that is none.
    #[serde(default)]
    pub(super) body: Value,
    /// How it is to be read: `accepted ID`, `nobody_there CODE`, `refused CODE`, `not_taken CODE [SECONDS]`, `unknown CODE`.
    #[serde(default)]
    pub(super) read_as: String,
}

impl Saying {
    pub(super) fn of(status: u16, body: Value) -> Self {
        Saying { status, body, ..Saying::default() }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        match &self.body {
            Value::Null => Vec::new(),
            Value::String(text) => text.clone().into_bytes(),
            json => json.to_string().into_bytes(),
        }
    }
}

/// A provider's answers as documented, and where.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recorded {
    pub(super) sources: Vec<String>,
    /// When they were looked up.
    pub(super) date: String,
    pub(super) answers: Vec<Saying>,
}

/// What was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Request line and headers, in lower-case letters but for the line's path.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Asked {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&prefix))
    }

    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }
}

type Script = dyn Fn(&Asked) -> Saying + Send + Sync;

/// What it was asked.
type Kept = Arc<Mutex<Vec<Asked>>>;

/// A provider.
pub(super) struct Double {
    pub(super) address: SocketAddr,
    asked: Kept,
    _tasks: JoinSet<()>,
}

impl Double {
    pub(super) async fn saying(saying: Saying) -> Self {
        Double::start(move |_| saying.clone()).await
    }

    pub(super) async fn start(script: impl Fn(&Asked) -> Saying + Send + Sync + 'static) -> Self {
        Double::listen(script, serve).await
    }

    /// One that speaks HTTP/2 and nothing else.
    pub(super) async fn http2(script: impl Fn(&Asked) -> Saying + Send + Sync + 'static) -> Self {
        Double::listen(script, serve_http2).await
    }

    async fn listen<F: Future<Output = ()> + Send + 'static>(
        script: impl Fn(&Asked) -> Saying + Send + Sync + 'static,
        serve: fn(TcpStream, Kept, Arc<Script>) -> F,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, script): (Kept, Arc<Script>) = (Arc::default(), Arc::new(script));
        let (kept, mut tasks) = (Arc::clone(&asked), JoinSet::new());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&kept), Arc::clone(&script)));
            }
        });
        Double { address, asked, _tasks: tasks }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The only request.
    pub(super) fn only(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.into_iter().next().unwrap()
    }
}

async fn serve(mut stream: TcpStream, kept: Kept, script: Arc<Script>) {
    let Some(asked) = request(&mut stream).await else { return };
    let saying = script(&asked);
    kept.lock().unwrap().push(asked);
    let body = saying.bytes();
    let headers: String = saying.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "HTTP/1.1 {} Said\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n",
        saying.status,
        body.len()
    );
    // Status 0: it hangs up without a word.
    if saying.status != 0 {
        let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
    }
}

async fn serve_http2(stream: TcpStream, kept: Kept, script: Arc<Script>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut streams = JoinSet::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (kept, script) = (Arc::clone(&kept), Arc::clone(&script));
        streams.spawn(async move {
            let (parts, mut body) = request.into_parts();
            let mut headers: Vec<String> = vec![format!("{} {} HTTP/2", parts.method, parts.uri.path())];
            headers.extend(parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())));
            let mut asked = Asked { head: headers.join("\n"), body: Vec::new() };
            while let Some(Ok(chunk)) = body.data().await {
                let _ = body.flow_control().release_capacity(chunk.len());
                asked.body.extend_from_slice(&chunk);
            }
            let saying = script(&asked);
            kept.lock().unwrap().push(asked);
            if saying.status == 0 {
                return respond.send_reset(h2::Reason::INTERNAL_ERROR);
            }
            let mut response = http::Response::builder().status(saying.status);
            for (name, value) in &saying.headers {
                response = response.header(name, value);
            }
            let mut stream = respond.send_response(response.body(()).unwrap(), false).unwrap();
            let _ = stream.send_data(bytes::Bytes::from(saying.bytes()), true);
        });
    }
}

async fn request(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let (line, headers) = text.split_once("\r\n")?;
    let length = headers.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    while bytes.len() < end + length.unwrap_or(0) {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let headers: Vec<String> = headers
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| format!("{}: {value}", name.to_lowercase()))
        .collect();
    Some(Asked { head: format!("{line}\n{}", headers.join("\n")), body: bytes[end..].to_vec() })
}

/// The documented answers of a provider. `page` is the source of the transport: each word of its table that stands in
/// backticks must be in some answer, so that no row is without one.
pub(super) fn recorded(json: &str, page: &str) -> Vec<Saying> {
    let recorded: Recorded = serde_json::from_str(json).expect("recorded answers can be read");
    assert!(recorded.sources.iter().all(|source| source.starts_with("https://")) && !recorded.sources.is_empty());
    assert_eq!(recorded.date.len(), "2026-11-27".len());
    let said = |word: &str| {
        recorded.answers.iter().any(|saying| {
            let head = format!("{} {:?} {}", saying.status, saying.headers, saying.read_as);
            stands_in(&head, word) || stands_in(&saying.body.to_string(), word)
        })
    };
    let rows = page.lines().filter_map(|line| line.strip_prefix("//! | ")).skip(1);
    for row in rows {
        let cell = row.split(" | ").next().unwrap_or_default();
        let words = cell.split('`').skip(1).step_by(2);
        let statuses =
            cell.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() == 3 && word.parse::<u16>().is_ok());
        for word in words.chain(statuses) {
            assert!(said(word), "no recorded answer says {word}: {row}");
        }
    }
    recorded.answers
}

/// Whether the word stands there by itself, and not as a part of a longer one: a 4 is in many numbers.
fn stands_in(text: &str, word: &str) -> bool {
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    text.match_indices(word)
        .any(|(at, _)| is_edge(text[..at].chars().next_back()) && is_edge(text[at + word.len()..].chars().next()))
}

/// Hands `message` over to a double that says each answer in turn, by a transport that `open` makes for the double.
pub(super) async fn replay(answers: Vec<Saying>, message: &Message, open: impl Fn(&Double) -> Box<dyn Transport>) {
    for saying in answers {
        let expected = meaning(&saying.read_as);
        let double = Double::saying(saying.clone()).await;
        assert_eq!(open(&double).hand_over(message).await, expected, "{saying:?}");
    }
}

/// An answer that is written as in [`Saying::read_as`].
pub(super) fn meaning(text: &str) -> Answer {
    let mut words = text.split(' ');
    let (kind, word, seconds) = (words.next().unwrap(), words.next().map(str::to_owned), words.next());
    let code = word.clone().unwrap_or_default();
    match kind {
        "accepted" => Answer::taken(word),
        "nobody_there" => Answer::NobodyThere { code },
        "refused" => Answer::Refused { code },
        "unfit" => Answer::Unfit { code },
        "not_taken" => {
            Answer::NotTaken { code, retry_after: seconds.map(|text| Duration::from_secs(text.parse().unwrap())) }
        }
        "unknown" => Answer::Unknown { code },
        other => panic!("no such answer: {other}"),
    }
}

/// One of two devices took it, and nobody is there at the other.
pub(super) fn dead_beside(id: Option<&str>) -> Answer {
    Answer::Accepted { provider_id: id.map(str::to_owned), code: Some("dead_1_of_2".to_owned()) }
}

/// A secret that stands in a file.
pub(super) fn secret(text: &str) -> (Secret, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    (Secret::File(file.path().to_owned()), file)
}

/// A message with everything in it.
pub(super) fn message(address: &str) -> Message {
    Message {
        customer_id: "customer-1".to_owned(),
        send_id: "8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e".to_owned(),
        address: address.to_owned(),
        subject: Some("Ваша корзина".to_owned()),
        text: "Чайник ждёт".to_owned(),
        html: None,
        link: Some("https://t.example/c/1".to_owned()),
        unsubscribe: None,
        receipt_token: Some("receipt-token".to_owned()),
        return_token: None,
        now: 1_000_000,
        send_before: 1_000_000 + 3_600_000,
        valid_until: 1_000_000 + 3_600_000,
    }
}
