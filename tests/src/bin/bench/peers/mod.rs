//! The engine beside a raw loop of the client library and beside Kafka Streams: the same input, the same work, the same judge.

mod ground;
mod raw;
mod streams;
mod run;
mod state;
mod deadlines;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use stream::clock::machine_now;
use system_tests::cpu::load;
use system_tests::peers::judge::{Outcome, fold};
use system_tests::peers::load::{Keys, Load};
use system_tests::peers::operator::{self, Order};

use ground::Ground;
use run::{Drained, Run, drain};
pub use state::bytes_in;
use state::{State, cleaned_bytes, restore};
use streams::Streams;

/// What is asked for.
#[derive(Clone, Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub struct Question {
    #[arg(default_value = "2000000")]
    events: u64,
    #[arg(default_value = "500000")]
    customers: u64,
    /// uniform, hot or zipf
    #[arg(default_value = "uniform")]
    keys: Keys,
    /// Rows that the engine keeps in memory.
    #[arg(long)]
    rows: Option<usize>,
    /// Threads of the engine: once with each number.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    shards: Vec<usize>,
    /// Compression of all contenders' producers, instead of what is usual for each.
    #[arg(long)]
    compression: Option<String>,
    /// How often Streams commits, in milliseconds.
    #[arg(long, default_value = "1000")]
    commit: u64,
    /// How long carts may take to be armed before their deadlines come, in seconds.
    #[arg(long, default_value = "90")]
    arm_in: u64,
    /// Who takes part.
    #[arg(long, value_delimiter = ',', default_value = "raw,ours,streams")]
    only: Vec<String>,
    /// What is measured.
    #[arg(long, value_delimiter = ',', default_value = "drain,state,deadlines")]
    parts: Vec<String>,
}

impl Question {
    fn wants(&self, contender: &str) -> bool {
        self.only.iter().any(|name| name == contender)
    }

    fn has(&self, part: &str) -> bool {
        self.parts.iter().any(|name| name == part)
    }

    fn properties(&self) -> Vec<(&'static str, &str)> {
        self.compression.iter().map(|codec| ("compression.type", codec.as_str())).collect()
    }
}

/// Becomes a contender, told by its starter.
pub fn become_contender(name: &str, order: &str) -> Result<(), Box<dyn std::error::Error>> {
    match name {
        "raw" => raw::run(order),
        _ => operator::run(order),
    }
}

/// Measures, and tells each table as soon as it is there; what is wrong with the question, if it is none.
pub fn measure(words: &[&str], tell: &impl Fn(&str)) -> Result<(), String> {
    let question = Question::try_parse_from(words).map_err(|error| error.to_string())?;
    let streams = if question.wants("streams") { Some(Streams::build()?) } else { None };
    tell(&format!("load of the machine before: {}\n", load()));
    if question.has("drain") || question.has("state") {
        drained(&question, streams.as_ref(), tell);
    }
    if question.has("deadlines") {
        tell(&table::fired(question.customers, &deadlines::measure(&question, streams.as_ref())));
    }
    tell(&format!("load of the machine then: {}", load()));
    Ok(())
}

/// One input, and everybody who is to read it, one after the other.
fn drained(question: &Question, streams: Option<&Streams>, tell: &impl Fn(&str)) {
    let Question { events, customers, keys, .. } = *question;
    let input = Load { events, customers, keys, seed: 1 };
    let right = fold(input.events(), machine_now(), None);
    let ground = Ground::new("bench-peers", input.events());
    let (mut drained, mut states) = (Vec::new(), Vec::new());
    if question.wants("raw") {
        drained.push(through_raw(&ground, question, &right));
    }
    if question.wants("ours") {
        for shards in question.shards.iter().copied() {
            let (run, state) = through_ours(&ground, question, &right, shards);
            drained.push(run);
            states.extend(state);
        }
    }
    if let Some(streams) = streams {
        let (run, state) = through_streams(&ground, question, streams, &right);
        drained.push(run);
        states.extend(state);
    }
    tell(&table::drained(question, &right, ground.is_pinned(), &drained));
    tell(&table::states(right.customers, &states));
}

fn through_raw(ground: &Ground, question: &Question, right: &Outcome) -> Drained {
    let events = question.events;
    let output = |topic: String, records: u64, bytes: u64| raw::Output {
        topic,
        per_million: records * 1_000_000 / events,
        bytes: usize::try_from(bytes / records.max(1)).unwrap_or(0),
    };
    let written = right.outputs.iter().zip(right.bytes);
    let mut outputs: Vec<raw::Output> = ground
        .outputs("raw")
        .into_iter()
        .zip(written)
        .map(|(topic, (tally, bytes))| output(topic, tally.records, bytes))
        .collect();
    outputs.push(output(ground.changelog("raw"), events, right.row_bytes));
    let order = raw::Order {
        brokers: ground.place.brokers().to_owned(),
        properties: ground.properties(&question.properties()),
        group: ground.place.topic("raw"),
        input: ground.input.clone(),
        outputs,
    };
    let broker = ground.broker_cpu();
    let run = Run::of("raw librdkafka", ground.start_self("raw", &order), broker);
    drain(ground, run, events, Duration::ZERO)
}

/// What the engine's process is told.
fn order(ground: &Ground, question: &Question, shards: usize, arm_at: Option<i64>) -> Order {
    let name = if shards == 1 { "ours".to_owned() } else { format!("ours{shards}") };
    Order {
        brokers: ground.place.brokers().to_owned(),
        properties: ground.properties(&question.properties()),
        group: ground.place.topic(&name),
        input: ground.input.clone(),
        changelog: ground.changelog(&name),
        outputs: ground.outputs(&name),
        state_dir: ground.state_dir(&name),
        rows: question.rows,
        shards,
        arm_at,
    }
}

fn through_ours(ground: &Ground, question: &Question, right: &Outcome, shards: usize) -> (Drained, Option<State>) {
    let order = order(ground, question, shards, None);
    let rows = question.rows.map_or_else(String::new, |rows| format!(", {rows} rows"));
    let name =
        format!("cascade engine{}{rows}", if shards == 1 { String::new() } else { format!(", {shards} shards") });
    let start = || {
        let broker = ground.broker_cpu();
        Run::of(&name, ground.start_self("ours", &order), broker)
    };
    let run = drain(ground, start(), question.events, Duration::ZERO);
    let run = run.judged(ground, &order.outputs, &right.outputs);
    // The key of a row begins with a byte of its own.
    let state =
        || state_of(ground, &name, start, &order.state_dir, std::slice::from_ref(&order.changelog), b"\x01nobody");
    (run, question.has("state").then(state))
}

fn through_streams(
    ground: &Ground,
    question: &Question,
    streams: &Streams,
    right: &Outcome,
) -> (Drained, Option<State>) {
    let (outputs, state_dir) = (ground.outputs("streams"), ground.state_dir("streams"));
    let name = format!("Kafka Streams, commit {} ms", question.commit);
    let start = || {
        let order = streams_order(question, &outputs, &state_dir, None);
        let broker = ground.broker_cpu();
        Run::of(&name, streams.start(ground, &order), broker)
    };
    let run = drain(ground, start(), question.events, tail(question));
    let run = run.judged(ground, &outputs, &right.outputs);
    let state = || state_of(ground, &name, start, &state_dir, &Streams::changelogs(ground), b"nobody");
    (run, question.has("state").then(state))
}

fn streams_order<'a>(
    question: &'a Question,
    outputs: &'a [String],
    state_dir: &'a std::path::Path,
    arm_at: Option<i64>,
) -> streams::Order<'a> {
    let compression = question.compression.as_deref().unwrap_or("none");
    streams::Order { outputs, state_dir, commit_ms: question.commit, arm_at, compression }
}

/// Streams does not say what is committed: by then it surely is.
fn tail(question: &Question) -> Duration {
    Duration::from_millis(1_000 + question.commit * 3 / 2)
}

fn state_of(
    ground: &Ground,
    name: &str,
    start: impl FnMut() -> Run,
    state_dir: &PathBuf,
    changelogs: &[String],
    nobody: &[u8],
) -> State {
    let disk_bytes = bytes_in(state_dir);
    let changelog_bytes = cleaned_bytes(ground, changelogs, nobody);
    let (cpu_seconds, wall_seconds) = restore(start, state_dir);
    State { name: name.to_owned(), disk_bytes, changelog_bytes, cpu_seconds, wall_seconds }
}
