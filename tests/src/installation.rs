//! A whole Cascade: topics, campaigns, every service as a process of its own, and providers that write down what they get.
//!
//! Business time stands still until a test moves it. Clocks of all processes are one file.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use schemas::{Suppressor, Topics};
use serde_json::{Map, Value, json};
use stream::clock::{Clock, Millis};

use crate::feed::Feed;
use crate::place::Place;
use crate::process::Process;
use crate::providers::Providers;
use crate::service::Service;
use crate::tail::{Message, read};
use crate::wait::until_some;

/// A Monday, ten o'clock in the morning, UTC: 2026-06-01.
pub const MONDAY: Millis = 1_780_308_000_000;
/// One second of business time.
pub const SECOND: Millis = 1_000;
/// One minute.
pub const MINUTE: Millis = 60 * SECOND;
/// One hour.
pub const HOUR: Millis = 60 * MINUTE;
/// One day.
pub const DAY: Millis = 24 * HOUR;

/// Name under which providers post receipts.
pub(crate) const PROVIDER: &str = "sandbox";

/// With which refusals are hashed that outlive an erasure.
const SUPPRESSION_SECRET: &str = "nobody else knows this secret";

/// What makes those hashes.
pub fn suppressor() -> Suppressor {
    Suppressor::new(SUPPRESSION_SECRET).expect("it is long enough")
}

/// A running Cascade.
pub struct Installation {
    // In the order in which they go: processes, then what they write to.
    /// By name, as on the command line.
    pub services: BTreeMap<String, Service>,
    /// What services are started from; tools are always of [`binary`].
    pub program: PathBuf,
    /// The providers' side.
    pub providers: Providers,
    /// Writes what the shop has to tell.
    pub feed: Feed,
    /// Names of the topics.
    pub topics: Topics,
    /// Names of the channels.
    pub channels: Vec<String>,
    /// Partitions of `input` and what goes with it.
    pub partitions: i32,
    /// With which providers sign their receipts.
    pub(crate) secret: String,
    pub(crate) now: Millis,
    pub(crate) events: AtomicUsize,
    /// Directories and the broker.
    pub place: Place,
}

/// What is installed.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// Name of the test: lower-case letters, digits and `-`.
    pub name: &'a str,
    /// Campaigns of `deploy/campaigns`, or whole YAML texts.
    pub campaigns: &'a [&'a str],
    /// Channels with a worker.
    pub channels: &'a [&'a str],
    /// Hand-overs per second of each channel.
    pub rate_per_second: u32,
    /// Hand-overs that may come at once; as many as in a second where it is 0.
    pub burst: u32,
    /// Where messages but mails are posted to; none for the gateway of [`Providers`].
    pub gateway: Option<SocketAddr>,
    /// What to do when an outcome is unknown, on every channel; none for what is usual.
    pub on_unknown: Option<&'a str>,
    /// Partitions of `input` and what goes with it.
    pub partitions: i32,
    /// Who is silent for so long is no member of a group any more. Calls are given what fits into it.
    pub session_seconds: u64,
    /// Business time at the beginning.
    pub begin: Millis,
    /// Templates of one plain line, as `<template>.<channel>`; none for those of `deploy/templates`.
    pub plain_templates: &'a [String],
}

impl<'a> Plan<'a> {
    /// These campaigns and channels, two partitions, on a [`MONDAY`], and providers that take all that comes.
    pub fn new(name: &'a str, campaigns: &'a [&'a str], channels: &'a [&'a str]) -> Self {
        Plan {
            name,
            campaigns,
            channels,
            rate_per_second: 5_000,
            burst: 0,
            gateway: None,
            on_unknown: None,
            partitions: 2,
            session_seconds: 6,
            begin: MONDAY,
            plain_templates: &[],
        }
    }
}

/// The binary under test: `CASCADE_BIN`, else beside this program.
pub fn binary() -> PathBuf {
    std::env::var_os("CASCADE_BIN").map_or_else(
        || {
            let here = std::env::current_exe().expect("a process knows its program");
            let target = here.ancestors().find(|dir| dir.join("cascade").is_file());
            target.expect("run `cargo build -p cascade` first, or set CASCADE_BIN").join("cascade")
        },
        PathBuf::from,
    )
}

/// The directory `deploy` of the checkout.
pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

impl Installation {
    /// Installs everything, starts every service and waits until all are ready.
    pub fn start(plan: &Plan<'_>) -> Self {
        let mut cascade = Self::prepare(plan);
        let workers: Vec<String> = cascade.channels.iter().map(|channel| format!("channel {channel}")).collect();
        // Workers put the tracker's address into their links.
        let mut names = vec!["tracker", "intake", "operator"];
        names.extend(workers.iter().map(String::as_str));
        cascade.bring_up(&names);
        cascade.settle();
        cascade
    }

    /// Topics and campaigns, and no service yet.
    pub fn prepare(plan: &Plan<'_>) -> Self {
        let place = Place::new(plan.name);
        let cascade = Installation {
            services: BTreeMap::new(),
            program: binary(),
            providers: Providers::open(),
            feed: Feed::new(place.brokers()),
            topics: Topics::new(&place.prefix),
            channels: plan.channels.iter().map(|channel| (*channel).to_owned()).collect(),
            partitions: plan.partitions,
            secret: "receipts are signed with this secret".to_owned(),
            now: plan.begin,
            events: AtomicUsize::new(0),
            place,
        };
        Clock::drive(&cascade.clock(), plan.begin).expect("the test's directory can be written to");
        cascade.write_settings(plan);
        cascade.tool(["topics", "apply"]);
        let prices = deploy().join("campaigns/prices.yaml");
        let mut apply = vec![Path::new("campaign").to_owned(), "apply".into(), prices];
        apply.extend(
            plan.campaigns.iter().enumerate().map(|(number, campaign)| cascade.campaign_file(number, campaign)),
        );
        cascade.tool(apply);
        cascade
    }

    fn clock(&self) -> PathBuf {
        self.place.path("clock")
    }

    fn campaign_file(&self, number: usize, campaign: &str) -> PathBuf {
        if !campaign.contains('\n') {
            return deploy().join(format!("campaigns/{campaign}.yaml"));
        }
        let path = self.place.path(&format!("campaign-{number}.yaml"));
        std::fs::write(&path, campaign).expect("the test's directory can be written to");
        path
    }

    fn write_settings(&self, plan: &Plan<'_>) {
        let (key, receipts) = (self.place.path("signing-key"), self.place.path("receipts-secret"));
        std::fs::write(&key, "links are signed with this secret").expect("it can be written");
        std::fs::write(&receipts, &self.secret).expect("it can be written");
        let channels: Map<String, Value> =
            plan.channels.iter().map(|name| ((*name).to_owned(), self.section(name, plan))).collect();
        // Take-over is what many tests wait for; and a fetch that finds nothing returns soon.
        let mut kafka = json!({"session": {"timeout": {"ms": (plan.session_seconds * 1_000).to_string()}}, "fetch": {"wait": {"max": {"ms": "20"}}}});
        for (name, value) in self.place.properties() {
            let section = name.split('.').fold(&mut kafka, |section, word| &mut section[word]);
            *section = Value::from(value.as_str());
        }
        let settings = json!({
            "brokers": self.place.cascade_brokers(),
            "channels": plan.channels.join(","),
            "clock": format!("driven:{}", self.clock().display()),
            "topics": {
                "prefix": self.place.prefix,
                "partitions": plan.partitions,
                "replication": self.place.replication(),
            },
            "templates": {"dir": self.templates(plan)},
            "suppression": {"secret": SUPPRESSION_SECRET},
            "tracker": {
                "listen": "127.0.0.1:0",
                "port_file": self.place.path("tracker.address"),
                "linger": 0,
                "keys": format!("1:{}", key.display()),
                "providers": format!("{PROVIDER}:{}", receipts.display()),
                "producers": format!("{PROVIDER}:{}", receipts.display()),
            },
            "kafka": kafka,
            "channel": channels,
        });
        let text = toml::to_string(&settings).expect("settings are TOML");
        std::fs::write(self.place.path("cascade.toml"), text).expect("it can be written");
    }

    /// The directory of the templates.
    fn templates(&self, plan: &Plan<'_>) -> PathBuf {
        if plan.plain_templates.is_empty() {
            return deploy().join("templates");
        }
        let directory = self.place.path("templates");
        std::fs::create_dir(&directory).expect("the test's directory can be written to");
        for name in plan.plain_templates {
            std::fs::write(directory.join(format!("{name}.txt")), name).expect("it can be written");
        }
        directory
    }

    fn section(&self, name: &str, plan: &Plan<'_>) -> Value {
        // The longest that goes with the session.
        let timeout = plan.session_seconds * 3 / 4 - 1;
        let transport = match name {
            "email" => json!({
                "kind": "email",
                "host": self.providers.mail.ip().to_string(),
                "port": self.providers.mail.port(),
                "tls": "none",
                "from": "The Shop <news@shop.test>",
                "timeout_seconds": timeout,
            }),
            "canary" => json!({"kind": "nowhere"}),
            _ => {
                let url = match plan.gateway {
                    Some(own) => format!("http://{own}/"),
                    None => format!("http://{}/{name}", self.providers.gateway),
                };
                json!({"kind": "http", "url": url, "timeout_seconds": timeout})
            }
        };
        let is_free = matches!(name, "push" | "email" | "telegram" | "canary");
        let on_unknown = plan.on_unknown.unwrap_or(if is_free { "resend" } else { "skip" });
        let (rate, burst) = (plan.rate_per_second, plan.burst);
        json!({"rate_per_second": rate, "burst": burst, "on_unknown": on_unknown, "transport": transport})
    }

    /// Runs a command of the binary to its end; it must succeed. Returns what it printed.
    #[track_caller]
    pub fn tool(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let (is_done, words) = self.try_tool(arguments);
        assert!(is_done, "{words}");
        words
    }

    /// The same for one that must fail. Returns what it said.
    #[track_caller]
    pub fn tool_that_fails(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let (is_done, words) = self.try_tool(arguments);
        assert!(!is_done, "it went well: {words}");
        words
    }

    /// Runs a command of the binary to its end. Whether it succeeded, and what it printed, or said of its failure.
    pub fn try_tool(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> (bool, String) {
        let ended = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(binary())
            .args(arguments)
            .env("CASCADE_CONFIG", self.place.path("cascade.toml"))
            .env("CASCADE_STATE_DIR", self.place.path("state-one"))
            .output()
            .expect("the binary can be run");
        let said = if ended.status.success() { ended.stdout } else { ended.stderr };
        (ended.status.success(), String::from_utf8(said).expect("it prints text"))
    }

    /// From now on everything has the topics of another prefix, with another number of partitions. Services that run keep theirs.
    pub fn rename(&mut self, prefix: &str, partitions: i32) {
        let path = self.place.path("cascade.toml");
        let text = std::fs::read_to_string(&path).expect("it was written");
        let mut settings: toml::Table = text.parse().expect("settings are TOML");
        let topics = settings["topics"].as_table_mut().expect("a section");
        topics.insert("prefix".to_owned(), prefix.into());
        topics.insert("partitions".to_owned(), partitions.into());
        std::fs::write(&path, settings.to_string()).expect("it can be written");
        self.topics = Topics::new(prefix);
        self.partitions = partitions;
    }

    /// Starts a service, again if it has ended. Does not wait until it is ready. `operator#two` is another replica of the
    /// operator, with a name and a state of its own.
    pub fn launch(&mut self, name: &str) {
        // The old one goes first.
        self.services.remove(name);
        let file = name.replace([' ', '#'], "-");
        let (command, instance) = name.split_once('#').unwrap_or((name, "one"));
        let ops = self.place.path(&format!("{file}.ops"));
        let tracker = self.place.path("tracker.address");
        let stale = if name == "tracker" { vec![&ops, &tracker] } else { vec![&ops] };
        for path in stale {
            // Not there at the first start.
            let _ = std::fs::remove_file(path);
        }
        let mut environment = vec![
            ("CASCADE_CONFIG", self.place.path("cascade.toml").into_os_string()),
            ("CASCADE_INSTANCE", instance.into()),
            ("CASCADE_STATE_DIR", self.place.path(&format!("state-{instance}")).into_os_string()),
            ("CASCADE_OPS_PORT_FILE", ops.clone().into_os_string()),
        ];
        if name != "tracker" && self.services.contains_key("tracker") {
            environment.push(("CASCADE_TRACKER_URL", format!("http://{}", self.tracker_address()).into()));
        }
        let log = self.place.path(&format!("{file}.log"));
        let process = Process::start(&self.program, command.split(' '), environment, &log);
        self.services.insert(name.to_owned(), Service::of(name, process, ops));
    }

    /// Starts services, in this order, and waits until all are ready.
    pub fn bring_up(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.launch(name));
        names.iter().for_each(|name| self.service(name).wait_until_ready());
    }

    /// Starts it anew and waits until it is ready.
    pub fn restart(&mut self, name: &str) {
        self.launch(name);
        self.service(name).wait_until_ready();
    }

    /// A service.
    #[track_caller]
    pub fn service(&mut self, name: &str) -> &mut Service {
        self.services.get_mut(name).unwrap_or_else(|| panic!("{name} was not started"))
    }

    /// Kills a service; it is as if it had never been started.
    pub fn kill(&mut self, name: &str) {
        self.service(name).process().kill();
        self.services.remove(name);
    }

    /// Where the tracker listens.
    pub(crate) fn tracker_address(&self) -> String {
        let file = self.place.path("tracker.address");
        until_some("the tracker listens", || std::fs::read_to_string(&file).ok()).trim().to_owned()
    }

    /// Now, in business time.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// Moves business time on, and waits for nothing.
    pub fn set_clock(&mut self, now: Millis) {
        assert!(now >= self.now, "time does not go back");
        self.now = now;
        Clock::drive(&self.clock(), now).expect("the test's directory can be written to");
    }

    /// Everything that is committed in a topic.
    pub fn read(&self, topic: &str) -> Vec<Message> {
        read(self.place.brokers(), topic)
    }

    /// A number that no other event of this installation has.
    pub(crate) fn event_number(&self) -> usize {
        self.events.fetch_add(1, Ordering::Relaxed)
    }
}
