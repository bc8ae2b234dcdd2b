//! What a provider posts on its own protocol comes to the tracker and finds its send, also after the tracker has died.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::routing::post;
use axum::{Json, Router};
use schemas::{Consent, Contact, Feedback, Profile, Reply, Status};
use serde_json::{Value, json};
use stream::clock::machine_now;
use system_tests::http::{client, runtime, send};
use system_tests::installation::{Installation, Plan};
use system_tests::wait::{until, until_some};

const CHAT: u64 = 1_111_111;
const STRANGER: u64 = 2_222_222;
const SECRET: &str = "the_secret_of_the_hook";

const HELLO: &str = "
campaign: hello
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
stop: goal
steps:
  - {name: hello, channel: telegram, template: hello, wait: 7d}
";

/// A Bot API that takes every message, each under an id of its own.
fn bot_api() -> String {
    static MESSAGES: AtomicU64 = AtomicU64::new(1);
    async fn take() -> Json<Value> {
        Json(json!({"ok": true, "result": {"message_id": MESSAGES.fetch_add(1, Ordering::Relaxed)}}))
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.set_nonblocking(true).expect("it is a socket");
    let address = listener.local_addr().expect("it is bound");
    let _inside = runtime().enter();
    let listener = tokio::net::TcpListener::from_std(listener).expect("it does not block");
    let routes = Router::new().route("/bottoken/sendMessage", post(take));
    drop(runtime().spawn(async move { axum::serve(listener, routes).await }));
    format!("http://{address}")
}

/// The channel goes to this bot, and Telegram posts to the tracker.
fn through(shop: &Installation, bot_api: &str) {
    let (settings, token, secret) =
        (shop.place.path("cascade.toml"), shop.place.path("bot-token"), shop.place.path("hook-secret"));
    std::fs::write(&token, "token").expect("it can be written");
    std::fs::write(&secret, SECRET).expect("it can be written");
    let mut text: toml::Table =
        std::fs::read_to_string(&settings).expect("settings").parse().expect("settings are TOML");
    let section = json!({
        "transport": {"kind": "telegram", "url": bot_api, "token": {"file": token}, "timeout_seconds": 3},
        "hook": {"kind": "telegram", "secret": {"file": secret}},
    });
    let channel = text["channel"]["telegram"].as_table_mut().expect("a section");
    channel.extend(toml::Table::try_from(section).expect("settings are TOML"));
    std::fs::write(&settings, text.to_string()).expect("it can be written");
}

/// Providers know no clock but the machine's.
fn update(chat: u64, text: &str) -> Value {
    let (id, date) = (chat + text.len() as u64, machine_now() / 1_000);
    json!({"update_id": id, "message": {"message_id": id, "date": date, "chat": {"id": chat, "type": "private"}, "text": text}})
}

/// The tracker's answer to such a post.
fn posted(shop: &Installation, secret: &str, update: &Value) -> u16 {
    let told =
        || std::fs::read_to_string(shop.place.path("tracker.address")).ok().filter(|address| !address.is_empty());
    let address = until_some("the tracker listens", told);
    let request = client().post(format!("http://{}/hooks/telegram", address.trim()));
    let request = request.header("x-telegram-bot-api-secret-token", secret).json(update);
    send(request).expect("the tracker answers").0.as_u16()
}

fn words(shop: &Installation) -> Vec<Feedback> {
    let all = shop.read(&shop.topics.feedback());
    all.iter().map(|record| record.decode::<Feedback>()).filter(|word| word.status != Status::Accepted).collect()
}

#[test]
fn what_telegram_posts_is_about_the_message_before_it() {
    let templates = ["hello.telegram".to_owned()];
    let plan = Plan::new("hooks", &[HELLO], &["telegram"]);
    let mut shop = Installation::prepare(&Plan { plain_templates: &templates, ..plan });
    through(&shop, &bot_api());
    shop.bring_up(&["tracker", "intake", "operator", "channel telegram"]);
    shop.settle();
    let (channel, now) = ("telegram".to_owned(), shop.now());
    let consent = Consent { channel: channel.clone(), granted: true, at: now, ..Consent::default() };
    let profile = Profile {
        event_id: "profile".to_owned(),
        customer_id: "ann".to_owned(),
        occurred_at: now,
        contacts: vec![Contact { channel, address: CHAT.to_string() }],
        consents: vec![consent],
        ..Profile::default()
    };
    shop.tell(&shop.topics.profile(), "ann", &profile);
    shop.settle();
    shop.action("ann", "lead", None, &[]);
    let taken = until_some("the message was taken", || {
        let all = shop.read(&shop.topics.feedback());
        all.iter().map(|record| record.decode::<Feedback>()).find(|word| word.status == Status::Accepted)
    });

    assert_eq!(posted(&shop, "another_secret_of_sixteen", &update(CHAT, "stop")), 401);
    assert_eq!(posted(&shop, SECRET, &update(STRANGER, "stop")), 200, "said again it would be no other");
    assert_eq!(posted(&shop, SECRET, &update(CHAT, "Есть ли синий?")), 200);
    // What was answered 200 is in Kafka.
    let said = words(&shop);
    assert_eq!(
        said.iter().map(|word| (word.status, &word.send_id)).collect::<Vec<_>>(),
        [(Status::Replied, &taken.send_id)]
    );
    let replies = shop.read(&shop.topics.reply());
    let replies: Vec<Reply> = replies.iter().map(|record| record.decode()).collect();
    let replies: Vec<_> = replies.iter().map(|reply| (&*reply.customer_id, &*reply.text)).collect();
    assert_eq!(replies, [("ann", "Есть ли синий?")]);

    shop.kill("tracker");
    shop.restart("tracker");
    assert_eq!(posted(&shop, SECRET, &update(CHAT, "СТОП")), 200);
    let said = words(&shop);
    assert_eq!(said.last().map(|word| (word.status, &word.send_id)), Some((Status::Unsubscribed, &taken.send_id)));
    until("the cascade has ended", || {
        shop.tool(["journal", "--customer", "ann"]).contains("the customer unsubscribed or complained")
    });
    let tracker = shop.service("tracker");
    assert_eq!(tracker.metric_with("cascade_provider_words_total", "outcome=\"unsubscribed\""), 1.0);
}
