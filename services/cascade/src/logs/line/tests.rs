use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use super::super::budget::{LINES, WINDOW};
use super::*;

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn lines(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

thread_local! {
    static NOW: Cell<Option<Tick>> = const { Cell::new(None) };
}

/// Time stands still until a test moves it.
fn now() -> Tick {
    NOW.get().unwrap_or_else(|| {
        NOW.set(Some(Tick::now()));
        NOW.get().unwrap()
    })
}

fn pass(time: Duration) {
    NOW.set(Some(now().after(time)));
}

/// Does something, of which this is written.
fn written(form: Format, act: impl FnOnce(&Written)) {
    written_by("tracker", form, act);
}

fn written_by(service: &str, form: Format, act: impl FnOnce(&Written)) {
    let written = Written::default();
    let (instance, installation) = ("tracker-0".to_owned(), "crm/shop".to_owned());
    let settings =
        Settings { format: form, levels: tracing_subscriber::filter::Targets::default(), instance, installation };
    let lines = Lines::new(&settings, service, now);
    let layer = tracing_subscriber::fmt::layer().with_writer(written.clone()).with_ansi(false).event_format(lines);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || act(&written));
}

/// What a stranger can make a service say.
fn flood(lines: usize) {
    for number in 0..lines {
        tracing::warn!(number, "what was posted is not believed");
    }
}

#[test]
fn a_flood_is_ten_lines_and_one_that_counts_the_rest_and_hides_nobody_else() {
    for form in [Format::Text, Format::Json] {
        written(form, |written| {
            flood(1_000);
            tracing::error!("somebody else has a word");
            let lines = written.lines();
            assert_eq!(lines.len() as u64, LINES + 1, "{lines:#?}");
            assert!(lines.last().unwrap().contains("somebody else has a word"));

            pass(WINDOW);
            flood(1);
            let lines = written.lines();
            let [left_out, again] = &lines[..] else { panic!("{lines:#?}") };
            assert!(left_out.contains(LEFT_OUT) && left_out.contains("990"), "{left_out}");
            assert!(again.contains("what was posted is not believed"), "{again}");
        });
    }
}

#[test]
fn of_what_a_tool_warns_nothing_is_left_out() {
    written_by(TOOLS, Format::Text, |written| {
        flood(1_000);
        assert_eq!(written.lines().len(), 1_000);
    });
}

#[test]
fn what_was_left_out_is_told_by_whoever_speaks_next() {
    written(Format::Text, |written| {
        flood(12);
        pass(WINDOW - Duration::from_millis(1));
        tracing::info!("not yet");
        assert_eq!(written.lines().len(), 11);
        pass(Duration::from_millis(1));
        tracing::info!("now");
        let lines = written.lines();
        assert!(lines.len() == 2 && lines[0].contains("left_out=2"), "{lines:#?}");
        tracing::info!("once");
        assert_eq!(written.lines().len(), 1);
    });
}

#[test]
fn what_only_informs_and_what_a_library_says_from_one_place_has_more_room() {
    written(Format::Text, |written| {
        (0..200).for_each(|number| tracing::info!(number, "a partition was recovered"));
        assert_eq!(written.lines().len(), 200);
        (0..200).for_each(|number| tracing::warn!(target: "librdkafka", number, "a broker is away"));
        assert_eq!(written.lines().len(), 100);
    });
}

#[test]
fn a_line_of_json_says_whose_it_is_in_names_that_stay() {
    written(Format::Json, |written| {
        tracing::warn!(partition = 3, service = "another", why = ?Some(1), ratio = 0.5, "cannot be {}", "read \"now\"");
        let lines = written.lines();
        let line: serde_json::Map<String, Value> = serde_json::from_str(&lines[0]).unwrap();
        let names: Vec<usize> = FIXED.iter().map(|name| lines[0].find(&format!("\"{name}\":")).unwrap()).collect();
        assert!(names.is_sorted(), "{}", lines[0]);
        assert_eq!(line.len(), FIXED.len() + 3, "{}", lines[0]);
        let mut expected = serde_json::json!({
            "level": "WARN", "service": "tracker", "instance": "tracker-0", "installation": "crm/shop",
            "target": "cascade::logs::line::tests", "message": "cannot be read \"now\"",
            "partition": 3, "why": "Some(1)", "ratio": 0.5,
        });
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        expected["timestamp"] = time.into();
        assert_eq!(Value::Object(line), expected);
    });
}

#[test]
fn the_runbook_lists_the_names() {
    let page = include_str!("../../../../../deploy/runbook/README.md");
    let listed: Vec<&str> = page
        .split_once("## Logs")
        .unwrap()
        .1
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(listed, FIXED);
}
