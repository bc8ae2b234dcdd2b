//! Toxiproxy on the way from Cascade to the broker.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use stream::clock::Tick;

use super::node::leave_running;
use crate::http::{client, send};
use crate::wait::until;

/// Ports.
#[derive(Debug)]
pub struct Way {
    /// Where Cascade connects to.
    pub from: u16,
    /// The broker's.
    pub to: u16,
    /// Where the proxy is told what to do.
    pub api: u16,
}

#[derive(Debug)]
pub struct Toxiproxy {
    api: String,
    turn: AtomicUsize,
    /// Whoever does something bad is alone with it: with two toxics at once, which come and go while connections do, it stands still or
    /// dies of an index.
    alone: Arc<Mutex<()>>,
}

/// How long each disturbance lasts. Longer than the session timeout of these tests: the group moves on.
const DISTURBED: Duration = Duration::from_secs(9);

/// How long each mild toxic lasts.
const RUFFLED: Duration = Duration::from_secs(2);

/// And the pause between two of them.
const BETWEEN: Duration = Duration::from_millis(100);

/// What every network does now and then: delays, both ways; ends of connections that are heard late; everything in small slices.
fn mild() -> [Value; 4] {
    [
        json!({"type": "latency", "attributes": {"latency": 15, "jitter": 10}}),
        json!({"type": "slicer", "attributes": {"average_size": 512, "size_variation": 256, "delay": 50}}),
        json!({"type": "latency", "stream": "upstream", "attributes": {"latency": 15, "jitter": 10}}),
        json!({"type": "slow_close", "attributes": {"delay": 300}}),
    ]
}

impl Toxiproxy {
    pub fn start(dir: &Path, way: &Way) -> Self {
        let program = PathBuf::from(std::env::var("CASCADE_TOXIPROXY").unwrap_or_default());
        assert!(
            program.is_file(),
            "CASCADE_TOXIPROXY names no program: run tests/toxiproxy.sh, which installs it and says its path"
        );
        // Its end is bound to ours: the shell reads from a pipe that closes with this process.
        let script = r#""$0" -host 127.0.0.1 -port "$1" >"$2/toxiproxy.log" 2>&1 & read -r _; kill $!"#;
        let mut child = Command::new("bash");
        child.args(["-c", script]).arg(program).arg(way.api.to_string()).arg(dir).stdin(Stdio::piped());
        leave_running(child.spawn().expect("bash is there"));
        let api = format!("http://127.0.0.1:{}/proxies", way.api);
        let proxy = Toxiproxy { api, turn: AtomicUsize::new(0), alone: Arc::default() };
        let wanted = json!({
            "name": "kafka",
            "listen": format!("127.0.0.1:{}", way.from),
            "upstream": format!("127.0.0.1:{}", way.to),
        });
        until("toxiproxy is ready", || proxy.post("", &wanted));
        proxy.ruffle();
        proxy
    }

    /// From now on the way is never quite smooth: one mild toxic follows upon the other until this process ends.
    fn ruffle(&self) {
        let toxics = mild();
        for toxic in &toxics {
            assert!(self.add("mild", toxic), "toxiproxy refuses {toxic}");
            self.remove("mild");
        }
        let proxy = Toxiproxy { api: self.api.clone(), turn: AtomicUsize::new(0), alone: Arc::clone(&self.alone) };
        let ruffle = move || {
            for toxic in toxics.iter().cycle() {
                let alone = proxy.alone.lock().unwrap_or_else(PoisonError::into_inner);
                // At the very end nobody answers.
                proxy.add("mild", toxic);
                std::thread::park_timeout(RUFFLED);
                proxy.remove("mild");
                drop(alone);
                // Whoever waits for his turn gets it.
                std::thread::park_timeout(BETWEEN);
            }
        };
        stream::thread::spawn("mild toxics", ruffle).expect("there is a thread left");
    }

    /// Does the next bad thing for a while: delays, resets, a black hole, slow ends of connections, answers that are cut off.
    pub fn disturb(&self) {
        let toxics = [
            json!({"type": "latency", "attributes": {"latency": 400, "jitter": 300}}),
            json!({"type": "reset_peer", "attributes": {"timeout": 200}}),
            json!({"type": "timeout", "attributes": {"timeout": 0}}),
            json!({"type": "slow_close", "attributes": {"delay": 2000}}),
            json!({"type": "limit_data", "stream": "downstream", "attributes": {"bytes": 2000}}),
        ];
        let toxic = &toxics[self.turn.fetch_add(1, Ordering::Relaxed) % toxics.len()];
        let _alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(self.add("now", toxic), "toxiproxy refuses {toxic}");
        let begun = Tick::now();
        until("it was disturbed for long enough", || begun.elapsed() > DISTURBED);
        assert!(self.remove("now"), "toxiproxy does not end {toxic}");
    }

    fn add(&self, name: &str, toxic: &Value) -> bool {
        let mut named = toxic.clone();
        named["name"] = Value::from(name);
        self.post("/kafka/toxics", &named)
    }

    fn remove(&self, name: &str) -> bool {
        let gone = send(client().delete(format!("{}/kafka/toxics/{name}", self.api)));
        gone.is_some_and(|(status, _)| status.is_success())
    }

    fn post(&self, path: &str, body: &Value) -> bool {
        let request = client().post(format!("{}{path}", self.api)).body(body.to_string());
        send(request).is_some_and(|(status, _)| status.is_success())
    }
}
