//! One private Kafka for each test binary. What it is made of is chosen from outside, for all tests alike:
//!
//! ```text
//! (nothing)                 one broker; three where brokers restart
//! CASCADE_KAFKA=one         one broker, also where it restarts
//! CASCADE_KAFKA=three       three of them: replication 3, at least two copies of what was confirmed
//! CASCADE_KAFKA=secured     the same, to be reached by TLS and SCRAM only
//! CASCADE_KAFKA=proxied     one broker, which Cascade reaches through Toxiproxy (tests/toxiproxy.sh installs it): late, in slices
//! ```

mod node;
mod forms;
mod toxiproxy;
mod slow;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;

use forms::Form;
use node::Node;
use slow::Slow;
use toxiproxy::Toxiproxy;

/// A Kafka on loopback, with ports of its own. Its directory holds those of the tests, too: all goes together, also when
/// somebody kills the tests.
#[derive(Debug)]
pub struct Broker {
    dir: PathBuf,
    nodes: Vec<Node>,
    /// Where the tests reach it.
    address: String,
    /// Where Cascade does.
    cascade_address: String,
    /// Where it is reached without TLS and passwords.
    plain_address: String,
    properties: Vec<(&'static str, String)>,
    proxy: Option<Toxiproxy>,
    restarts: AtomicUsize,
}

/// The broker of this process, started by whoever asks first.
pub fn broker() -> &'static Broker {
    started(&chosen("one"))
}

/// The same for tests that restart brokers. A lone one has partitions without a leader meanwhile, and its coordinator forgets the
/// markers of transactions on them, of confirmed commits, too (KAFKA-20734): no client can make up for that.
pub fn replicated() -> &'static Broker {
    started(&chosen("three"))
}

/// The same for tests that stop one of several: three, unless what is chosen is as many.
pub fn several() -> &'static Broker {
    let form = chosen("three");
    started(if ["one", "proxied"].contains(&form.as_str()) { "three" } else { &form })
}

/// As the environment says; `otherwise`, if it says nothing.
fn chosen(otherwise: &str) -> String {
    std::env::var("CASCADE_KAFKA").ok().filter(|said| !said.is_empty()).unwrap_or_else(|| otherwise.to_owned())
}

fn started(form: &str) -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(form))
}

impl Broker {
    fn start(form: &str) -> Self {
        let made = tempfile::Builder::new().prefix("cascade-tests-").tempdir();
        let dir = made.expect("the system's directory for temporary files can be written to").keep();
        let Form { nodes, address, cascade_address, plain_address, properties, proxied } = Form::named(&dir, form);
        // Together: a quorum is more than one.
        let nodes: Vec<Node> = nodes.iter().map(|node| Node::start(node, &dir)).collect();
        nodes.iter().for_each(Node::wait_until_ready);
        let proxy = proxied.map(|way| Toxiproxy::start(&dir, &way));
        let address = address.unwrap_or_else(|| nodes[0].address());
        let cascade_address = cascade_address.unwrap_or_else(|| address.clone());
        let plain_address = plain_address.unwrap_or_else(|| address.clone());
        let restarts = AtomicUsize::new(0);
        Broker { dir, nodes, address, cascade_address, plain_address, properties, proxy, restarts }
    }

    /// Ends a broker, in an orderly way or as a crash does, and starts it again on the same data and port. Of several one after
    /// the other.
    pub fn restart(&self, signal: Signal) {
        let turn = self.restarts.fetch_add(1, Ordering::Relaxed);
        self.nodes[turn % self.nodes.len()].restart(signal);
    }

    /// Ends the broker with this id, one of several, in an orderly way or as a crash does. It stays away.
    pub fn stop(&self, id: i32, signal: Signal) {
        self.node(id).stop(signal);
    }

    /// Starts it again, on the same data and port.
    pub fn start_again(&self, id: i32) {
        self.node(id).start_again();
    }

    /// Ids count from 1.
    fn node(&self, id: i32) -> &Node {
        &self.nodes[usize::try_from(id).expect("ids are positive") - 1]
    }

    /// Makes every answer late until what this returns is dropped.
    pub fn slow_down(&'static self) -> Slow {
        Slow::begin(&self.nodes)
    }

    /// Where there is a proxy: does the next bad thing to all connections of Cascade, for a while.
    pub fn disturb(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.disturb();
        }
    }

    /// How many copies topics have.
    pub fn replication(&self) -> i32 {
        if self.nodes.len() > 1 { 3 } else { 1 }
    }

    /// Where the tests reach it, `host:port`, comma separated.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it is reached by what speaks neither TLS nor SASL.
    pub fn plain_address(&self) -> &str {
        &self.plain_address
    }

    /// Where Cascade does.
    pub fn cascade_address(&self) -> &str {
        &self.cascade_address
    }

    /// What every client has to know beside the address.
    pub fn properties(&self) -> &[(&'static str, String)] {
        &self.properties
    }

    /// Id of its process, of the first one if there are several.
    pub fn process(&self) -> u32 {
        self.nodes[0].process()
    }

    /// Where its log and data are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Leaves log and data behind after the end.
    #[expect(clippy::print_stderr, reason = "a test has failed already: nothing else can be told")]
    pub fn keep(&self) {
        if let Err(error) = std::fs::write(self.dir.join("keep"), "") {
            eprintln!("cannot keep {}: {error}", self.dir.display());
        }
    }
}
