//! What providers post, at the whole edge; how a word finds its send is the business of `channels::echo`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use channels::transport::hook::Config as Hooked;
use channels::transport::{About, Fate, Word};
use hmac::{Hmac, KeyInit, Mac};
use schemas::token::Token;
use sha2::Sha256;
use tokio::sync::mpsc;

use super::*;

pub(super) const SECRET: &str = "what was agreed with the provider";
pub(super) const WORD: &str = "what-was-agreed-with-it";

/// Words that came, each as one line, and what becomes of words about these.
#[derive(Default)]
pub(super) struct Ears {
    heard: Mutex<Vec<String>>,
    again: Mutex<bool>,
}

impl Ears {
    /// Words about `known` and about our own sends are kept; of others nothing is known.
    async fn listen(self: Arc<Self>, channel: &'static str, mut words: mpsc::Receiver<Word>) {
        while let Some(word) = words.recv().await {
            let (about, is_known) = match &word.about {
                About::ProviderId(id) => (format!("id {id}"), id == "42"),
                About::Address(address) => (format!("address {address}"), address == "c1"),
                About::Send { customer_id, .. } => (format!("send of {customer_id}"), true),
                About::Nothing(why) => (format!("nothing: {why}"), false),
                About::Named { .. } => panic!("a hook names no send"),
            };
            let text = word.text.as_ref().map_or("", |text| text.as_str());
            self.heard.lock().unwrap().push(format!("{channel} {about} {} {text}", word.status).trim().to_owned());
            let fate = if is_known { Fate::Kept } else { Fate::Useless };
            word.fate.send(if *self.again.lock().unwrap() { Fate::Again } else { fate }).unwrap();
        }
    }

    pub(super) fn heard(&self) -> Vec<String> {
        let mut heard = self.heard.lock().unwrap().clone();
        heard.sort();
        heard
    }
}

pub(super) struct Posted {
    pub(super) edge: Fixture,
    pub(super) ears: Arc<Ears>,
    _listeners: JoinSet<()>,
}

/// A hook that was made by configuration alone.
fn gateway(secret: &serde_json::Value, proof: serde_json::Value) -> serde_json::Value {
    let reply = serde_json::json!({"at": "/text", "sender": "/from", "text": "/text"});
    let statuses = serde_json::json!({"DELIVRD": "delivered", "QUEUED": "nothing"});
    serde_json::json!({"kind": "http", "secret": secret, "post": {"proof": proof, "id": "/id", "status": "/status", "time": "/at",
        "token": "/token", "statuses": statuses, "reply": reply}})
}

/// The edge with a hook for each of six channels, all of which have the same secret but one, whose secret may stand in a path.
pub(super) async fn posted(limits: Limits) -> Posted {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SECRET).unwrap();
    let word = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(word.path(), WORD).unwrap();
    let secret = serde_json::json!({"file": file.path()});
    let (ears, mut listeners, mut hooks) = (Arc::new(Ears::default()), JoinSet::new(), HashMap::new());
    for (channel, config) in [
        ("viber", serde_json::json!({"kind": "viber", "secret": secret})),
        ("vk", serde_json::json!({"kind": "vk", "secret": secret, "group_id": 1, "confirmation": "e7e13fe2"})),
        (
            "whatsapp",
            serde_json::json!({"kind": "meta", "secret": secret, "product": "whatsapp", "sender": 7, "verify_token": secret}),
        ),
        ("gateway", gateway(&secret, serde_json::json!({"hmac": {"header": "x-signature", "encoding": "base64"}}))),
        ("header", gateway(&secret, serde_json::json!({"header": "x-token"}))),
        ("path", gateway(&serde_json::json!({"file": word.path()}), serde_json::json!("path"))),
    ] {
        let hook = serde_json::from_value::<Hooked>(config).unwrap().open().unwrap();
        let (sender, words) = mpsc::channel(4);
        listeners.spawn(Arc::clone(&ears).listen(channel, words));
        hooks.insert(channel.to_owned(), Listening { hook, words: sender });
    }
    Posted { edge: Fixture::with(Memory::default(), hooks, limits).await, ears, _listeners: listeners }
}

pub(super) fn sign(body: &str) -> String {
    hmac(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn sign_base64(body: &str) -> String {
    STANDARD.encode(hmac(body))
}

fn hmac(body: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(body);
    mac.finalize().into_bytes().to_vec()
}

impl Posted {
    /// What is answered to a post that is signed as it should be: status and page.
    pub(super) async fn post(&self, channel: &str, body: &str) -> (StatusCode, String) {
        let (name, value) = match channel {
            "whatsapp" => ("x-hub-signature-256", format!("sha256={}", sign(body))),
            "gateway" => ("x-signature", sign_base64(body)),
            _ => ("x-viber-content-signature", sign(body)),
        };
        let request = self.edge.client.post(format!("{}/hooks/{channel}", self.edge.url)).header(name, value);
        let answer = request.body(body.to_owned()).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    pub(super) fn token(&self, channel: &str) -> String {
        let token = Token { channel: channel.to_owned(), ..token(Kind::Receipt, "") };
        self.edge.keys.sign(&token).unwrap()
    }
}

/// Statuses of WhatsApp, of about now.
fn statuses(statuses: &[(&str, &str)]) -> String {
    let now = (stream::clock::machine_now() / 1_000).to_string();
    let one = |(id, token): &(&str, &str)| serde_json::json!({"id": id, "status": "delivered", "timestamp": now, "biz_opaque_callback_data": token});
    let statuses: Vec<_> = statuses.iter().map(one).chain([serde_json::json!({"id": "42"})]).collect();
    let value = serde_json::json!({"metadata": {"phone_number_id": "7"}, "statuses": statuses});
    serde_json::json!({"object": "whatsapp_business_account", "entry": [{"changes": [{"value": value}]}]}).to_string()
}

#[tokio::test]
async fn a_word_finds_its_send_by_our_token_the_id_or_the_address() {
    let posted = posted(Limits::default()).await;
    let (ours, of_another) = (posted.token("whatsapp"), posted.token("email"));
    let body = statuses(&[("41", &ours), ("42", &of_another), ("43", "x")]);
    assert_eq!(posted.post("whatsapp", &body).await, (StatusCode::OK, String::new()));
    assert_eq!(
        posted.ears.heard(),
        [
            "whatsapp id 42 DELIVERED",
            "whatsapp id 43 DELIVERED",
            "whatsapp nothing: unreadable UNSPECIFIED",
            "whatsapp send of c1 DELIVERED"
        ],
        "a token is believed for its own channel, and what cannot be read takes nothing with it"
    );
}

#[tokio::test]
async fn an_answer_is_heard_with_its_text_and_vk_hears_ok() {
    let posted = posted(Limits::default()).await;
    let now = stream::clock::machine_now() / 1_000;
    let message =
        serde_json::json!({"from_id": 5, "peer_id": 5, "date": now, "text": "да", "reply_message": {"id": 9}});
    let body =
        serde_json::json!({"type": "message_new", "group_id": 1, "secret": SECRET, "object": {"message": message}});
    assert_eq!(posted.post("vk", &body.to_string()).await, (StatusCode::OK, "ok".to_owned()));
    assert_eq!(posted.ears.heard(), ["vk address 5 REPLIED да", "vk id 9 REPLIED да"], "nothing is known of the id");
    let asks = serde_json::json!({"type": "confirmation", "group_id": 1, "secret": SECRET});
    assert_eq!(posted.post("vk", &asks.to_string()).await, (StatusCode::OK, "e7e13fe2".to_owned()));
}

#[tokio::test]
async fn a_gateway_without_a_file_of_its_own_is_heard_too() {
    let posted = posted(Limits::default()).await;
    let ours = posted.token("gateway");
    let now = stream::clock::machine_now();
    let body = serde_json::json!([
        {"token": ours, "id": "41", "status": "delivrd", "at": now},
        {"id": "42", "status": "DELIVRD"},
        {"id": "42", "status": "QUEUED"},
        {"id": "42", "status": "LOST"},
        {"id": "42", "status": "DELIVRD", "at": now - 9 * 86_400_000},
        {"from": "c1", "text": "стоп"},
    ]);
    assert_eq!(posted.post("gateway", &body.to_string()).await, (StatusCode::OK, String::new()));
    assert_eq!(
        posted.ears.heard(),
        [
            "gateway address c1 UNSUBSCRIBED стоп",
            "gateway id 42 DELIVERED",
            "gateway nothing: no_information UNSPECIFIED",
            "gateway nothing: replayed UNSPECIFIED",
            "gateway nothing: unreadable UNSPECIFIED",
            "gateway send of c1 DELIVERED"
        ],
        "a word that the configuration does not have is counted, and takes nothing with it"
    );
}

#[tokio::test]
async fn what_kafka_has_not_is_to_be_posted_again() {
    let posted = posted(Limits::default()).await;
    *posted.ears.again.lock().unwrap() = true;
    let now = stream::clock::machine_now();
    let body = format!(r#"{{"event": "seen", "timestamp": {now}, "message_token": 42}}"#);
    let request = posted.edge.client.post(format!("{}/hooks/viber", posted.edge.url));
    let request = request.header("x-viber-content-signature", sign(&body)).body(body.clone());
    let answer = request.send().await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"2".parse().unwrap())
    );
    *posted.ears.again.lock().unwrap() = false;
    assert_eq!(posted.post("viber", &body).await.0, StatusCode::OK);
    assert_eq!(posted.ears.heard(), ["viber id 42 OPENED"; 2]);
}
