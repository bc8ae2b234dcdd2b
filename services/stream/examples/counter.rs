//! Counts the records of each key in `words`, and writes each new count to `counts`, exactly once.
//!
//! ```text
//! cargo run -p stream --features state --example counter -- localhost:9092
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use stream::clock::{Clock, Millis};
use stream::kafka::Settings;
use stream::{Config, Incoming, Metrics, Outbox, Probe, Processor, Topics};

struct Counter;

impl Processor for Counter {
    type Row = u64;

    fn unpack(&self, bytes: &[u8]) -> Result<u64, String> {
        bytes.try_into().map(u64::from_be_bytes).map_err(|_| "a count has eight bytes".to_owned())
    }

    fn pack(&self, count: &u64, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&count.to_be_bytes());
    }

    fn record(&mut self, count: &mut u64, record: &Incoming<'_>, _now: Millis, out: &mut Outbox) -> bool {
        *count += 1;
        out.publish(0, None, record.key, count.to_string().as_bytes());
        true
    }
}

/// Counts until `stop` is set. `words` and its changelog `words-counted` have as many partitions.
pub fn count(settings: &Settings, state: &Path, stop: &AtomicBool) -> Result<(), Box<dyn Error>> {
    let topics = Topics {
        input: "words".to_owned(),
        changelog: "words-counted".to_owned(),
        reference: None,
        outputs: vec!["counts".to_owned()],
    };
    let config = Config::new("counter", "one", topics, state.to_owned());
    let metrics = Metrics::new(&prometheus::Registry::new(), "words")?;
    Ok(stream::run(settings, &config, &Clock::system(), &Probe::default(), stop, &metrics, || Counter)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let brokers = std::env::args().nth(1).ok_or("usage: counter HOST:PORT")?;
    count(&Settings::new(&brokers, "one"), Path::new("state"), &AtomicBool::new(false))
}
