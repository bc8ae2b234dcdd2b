//! Counts the records of each key in `words`, and writes each new count to `counts`, exactly once.
//!
//! ```text
//! cargo run -p stream --features state --example counter -- localhost:9092
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use stream::clock::{Clock, Millis};
use stream::engine::{self, Config};
use stream::kafka::{Settings, Topics};
use stream::{Due, Incoming, Metrics, Outbox, Probe, Processor};

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

    // A count waits for nothing, concerns nobody else, and needs no reference.
    fn due(&self, _: &u64) -> Option<Millis> {
        None
    }
    fn deadline(&mut self, _: &mut u64, _: &Due<'_>, _: Millis, _: &mut Outbox) -> bool {
        false
    }
    fn broadcast(&mut self, _: &Incoming<'_>, _: Millis, _: &mut Outbox) {}
    fn reference(&mut self, _: &[u8], _: Option<&[u8]>) {}
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
    engine::run(settings, &config, &Clock::system(), &Probe::default(), stop, &metrics, || Counter)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let brokers = std::env::args().nth(1).ok_or("usage: counter HOST:PORT")?;
    count(&Settings::new(&brokers, "one"), Path::new("state"), &AtomicBool::new(false))
}
