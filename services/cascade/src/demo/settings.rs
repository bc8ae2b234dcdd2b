//! The configuration that all services of the demo share, as a file that anybody could have written.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::edge::PROVIDER;
use super::supervisor::Directory;

/// Names of the channels.
pub const CHANNELS: [&str; 6] = ["push", "email", "telegram", "viber", "whatsapp", "sms"];

/// Channels where a message costs money: there an outcome that nobody knows is not tried again.
const PAID: [&str; 3] = ["viber", "whatsapp", "sms"];

/// Where everything is.
#[derive(Debug)]
pub struct Places<'a> {
    /// Kafka.
    pub brokers: &'a str,
    /// Put before the names of topics.
    pub prefix: &'a str,
    /// Partitions of the keyed topics.
    pub partitions: i32,
    /// What goes into the logs.
    pub log_level: &'a str,
    /// Directory with `templates`.
    pub deploy: &'a Path,
    /// Everybody's mailbox.
    pub inbox: SocketAddr,
    /// The other providers.
    pub sandbox: SocketAddr,
    /// The tracker's HTTP edge.
    pub tracker: SocketAddr,
}

/// Writes `cascade.toml` and the secrets that it names. Gives back the one with which providers sign their receipts.
pub fn write(directory: &Directory, places: &Places<'_>) -> Result<String> {
    let (key, receipts) = (directory.join("signing-key"), directory.join("receipts-secret"));
    let secret = random_word()?;
    for (path, word) in [(&key, random_word()?), (&receipts, secret.clone())] {
        fs::write(path, word).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let channels: Map<String, Value> =
        CHANNELS.iter().map(|name| ((*name).to_owned(), channel(name, places))).collect();
    let settings = json!({
        "brokers": places.brokers,
        "channels": CHANNELS.join(","),
        "clock": format!("driven:{}", directory.join("clock").display()),
        "topics": {"prefix": places.prefix, "partitions": places.partitions},
        "state": {"dir": directory.join("state")},
        "log": {"level": places.log_level},
        "suppression": {"secret": random_word()?},
        "templates": {"dir": places.deploy.join("templates")},
        "tracker": {
            "listen": places.tracker.to_string(),
            // Nobody shares its requests out.
            "linger": 0,
            "url": format!("http://{}", places.tracker),
            "keys": format!("1:{}", key.display()),
            "providers": format!("{PROVIDER}:{}", receipts.display()),
        },
        // Hardly any load, and one thing after another: a fetch that finds nothing returns at once, because the driver waits for
        // "there is no more"; and nobody waits for company.
        "kafka": {"fetch": {"wait": {"max": {"ms": "10"}}}, "linger": {"ms": "0"}, "retry": {"backoff": {"ms": "2"}}},
        "channel": channels,
    });
    let path = directory.join("cascade.toml");
    fs::write(&path, toml::to_string(&settings)?).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(secret)
}

fn channel(name: &str, places: &Places<'_>) -> Value {
    let transport = match name {
        "email" => json!({
            "kind": "email",
            "host": places.inbox.ip().to_string(),
            "port": places.inbox.port(),
            "tls": "none",
            "from": "The Grocer <news@shop.example.test>",
        }),
        _ => json!({"kind": "http", "url": format!("http://{}/{name}", places.sandbox)}),
    };
    let on_unknown = if PAID.contains(&name) { "skip" } else { "resend" };
    // A year passes in minutes: what a provider takes in an hour must go out in a moment.
    json!({"rate_per_second": 2_000, "on_unknown": on_unknown, "transport": transport})
}

/// 32 bytes from the kernel, as hexadecimal digits.
pub fn random_word() -> Result<String> {
    use std::io::Read;
    let mut bytes = [0_u8; 32];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
