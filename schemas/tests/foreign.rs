//! Our bytes are Avro to others too: fastavro, an independent implementation, reads the golden bytes and writes records that
//! we read. Its environment is made on first use, where `deploy/env.sh` says.

mod samples;

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use schemas::{Cart, Ids, Item, Record, decode};
use serde_json::{Value as Json, json};

/// As it was when the test was written; any later one should do.
const FASTAVRO: &str = "fastavro==1.13.1";

fn crate_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Python with fastavro. A lock keeps two test runs from making the environment at once.
fn python() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let cache = named("CASCADE_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("cascade")))
        .or_else(|| named("HOME").map(|home| home.join(".cache/cascade")))
        .expect("set CASCADE_CACHE, XDG_CACHE_HOME or HOME: the Python environment is kept there");
    fs::create_dir_all(&cache).unwrap();
    let lock = File::create(cache.join("venv.lock")).unwrap();
    lock.lock().unwrap();

    let venv = named("CASCADE_VENV").unwrap_or_else(|| cache.join("venv"));
    let python = venv.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv), "install Debian's python3 and python3-venv");
    }
    if !Command::new(&python)
        .args(["-c", "import fastavro"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|it| it.success())
    {
        run(
            Command::new(&python).args(["-m", "pip", "install", "--quiet", FASTAVRO]),
            "let pip reach PyPI, or a mirror",
        );
    }
    python
}

fn run(command: &mut Command, remedy: &str) {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {remedy}"));
    assert!(done.status.success(), "{command:?}: {}; {remedy}", String::from_utf8_lossy(&done.stderr));
}

/// The script's answers to these tasks, one for each.
fn ask(tasks: &[Json]) -> Vec<Json> {
    let mut script = Command::new(python());
    script.arg(crate_dir().join("tests/foreign.py")).arg(crate_dir());
    let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let lines: String = tasks.iter().map(|task| format!("{task}\n")).collect();
    let mut input = script.stdin.take().unwrap();
    // Answers are shorter than a pipe's buffer only by chance, so questions are written beside the reading of them.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(lines.as_bytes()).unwrap());
        script.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "foreign.py failed, see above");
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &Json) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Collects the tasks, and later compares the answers.
struct Samples {
    tasks: Vec<Json>,
    answers: Vec<Json>,
}

impl samples::Visitor for Samples {
    fn visit<T: Record + PartialEq + Debug>(&mut self, name: &str, record: T) {
        if self.answers.is_empty() {
            let golden = fs::read(crate_dir().join(format!("golden/v1/{name}.bin"))).unwrap();
            let schema = format!("{}.avsc", name.split('-').next().unwrap());
            self.tasks.push(json!({"name": name, "schema": schema, "bytes": hex(&golden), "json": record}));
        } else {
            let answer = self.answers.remove(0);
            assert_eq!(answer["name"], name);
            assert_eq!(answer["read"], serde_json::to_value(&record).unwrap(), "{name}: fastavro reads another value");
            assert_eq!(decode::<T>(&bytes(&answer["written"])), Ok(record), "{name}: we read another value");
        }
    }
}

#[test]
fn fastavro_reads_what_we_write_and_writes_what_we_read() {
    let mut samples = Samples { tasks: Vec::new(), answers: Vec::new() };
    samples::each(&mut samples);
    samples.answers = ask(&samples.tasks);
    assert_eq!(samples.answers.len(), samples.tasks.len() + 1);
    samples::each(&mut samples);

    let mut ids = Ids::new();
    ids.learn(7, Cart::SCHEMA).unwrap();
    let items = vec![Item { sku: "tea-250".into(), ..Item::default() }];
    let expected = Cart {
        event_id: "from-python".into(),
        customer_id: "клиент".into(),
        occurred_at: 1_772_359_200_000,
        cart_id: "cart-9".into(),
        items,
        ..Cart::default()
    };
    assert_eq!(ids.decode(&bytes(&samples.answers[0]["written"])), Ok(expected));
}
