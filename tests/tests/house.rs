//! The house rules that a program can check: who depends on whom, how long files are, what lies where, and what is not in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use campaign::{Plan, Template};

/// What each crate may use of the others, in the order in which a message meets them.
const MEMBERS: [(&str, &[&str]); 9] = [
    ("schemas", &[]),
    ("services/campaign", &["schemas"]),
    ("services/stream", &[]),
    ("services/intake", &["schemas", "stream"]),
    ("services/operator", &["schemas", "campaign", "stream"]),
    ("services/channels", &["schemas", "stream"]),
    ("services/tracker", &["schemas", "stream", "channels"]),
    ("services/cascade", &["schemas", "campaign", "stream", "intake", "operator", "channels", "tracker"]),
    ("tests", &["schemas", "campaign", "stream", "operator"]),
];

/// The log and the store, which one crate wraps for all others. Only the tests, which must not see through the eyes of what
/// they examine, use them too.
const ENGINE_ROOM: [&str; 2] = ["rdkafka", "rocksdb"];

/// Where a pointer may be followed.
const UNSAFE: &str = "services/stream/src/kafka/native/mod.rs";

const LONGEST_LINES: usize = 600;
const MEDIAN_LINES: usize = 150;
const MAIN_LINES: usize = 80;

#[test]
fn dependencies_point_one_way() {
    let ours: BTreeSet<&str> = MEMBERS.iter().map(|(path, _)| name_of(path)).collect();
    for (path, may) in MEMBERS {
        let used = dependencies(path);
        let strays: Vec<&String> =
            used.iter().filter(|used| ours.contains(used.as_str()) && !may.contains(&used.as_str())).collect();
        assert!(strays.is_empty(), "{path} may use {may:?} of ours, but uses {strays:?}");
    }
}

#[test]
fn every_crate_of_the_workspace_has_its_place_in_that_order() {
    let members = manifest("").remove("workspace").expect("the root is a workspace");
    let members = members["members"].as_array().expect("it lists its members");
    let members: BTreeSet<&str> = members.iter().map(|member| member.as_str().expect("a path")).collect();
    assert_eq!(members, MEMBERS.iter().map(|(path, _)| *path).collect());
}

#[test]
fn only_the_engine_knows_the_client_library_and_the_store() {
    let others = |path: &str| !["services/stream", "tests"].contains(&path);
    for (path, _) in MEMBERS.iter().filter(|(path, _)| others(path)) {
        let used = dependencies(path);
        let strays: Vec<&str> = ENGINE_ROOM.into_iter().filter(|name| used.contains(*name)).collect();
        assert!(strays.is_empty(), "{path} uses {strays:?}: go through `stream`");
    }
}

#[test]
fn every_version_stands_in_the_workspace() {
    for (path, _) in MEMBERS {
        for (name, wanted) in declared(path) {
            let is_inherited = wanted.get("workspace").and_then(toml::Value::as_bool) == Some(true);
            assert!(is_inherited, "{path}: {name} must say `workspace = true`");
        }
    }
}

#[test]
fn pointers_are_followed_in_one_module_only() {
    // The compiler refuses unsafe code wherever this lint is not lifted; so who lifts it is all there is to ask.
    let lint = ["unsafe", "code"].join("_");
    assert_eq!(manifest("")["workspace"]["lints"]["rust"][&lint].as_str(), Some("deny"));
    for (path, _) in MEMBERS {
        let inherits = manifest(path).get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        assert_eq!(inherits, Some(true), "{path} must inherit the workspace's lints");
    }
    let lifts = |path: &String| is_rust(path) && text(path).lines().any(|line| code(line).contains(&lint));
    let lifting: Vec<String> = tracked().into_iter().filter(lifts).collect();
    assert_eq!(lifting, [UNSAFE]);
}

#[test]
fn the_engine_is_a_library_for_others() {
    let page = text("services/stream/src/lib.rs");
    let exports = page.lines().filter_map(|line| line.strip_prefix("pub use ")?.strip_suffix(';'));
    let last = |path: &str| path.rsplit("::").next().unwrap_or(path).trim_matches(['{', '}']).to_owned();
    let names = exports.flat_map(|path| {
        let (_, listed) = path.split_once('{').unwrap_or(("", path));
        listed.split(',').map(|name| last(name.trim())).collect::<Vec<_>>()
    });
    let types: Vec<String> = names.filter(|name| name.starts_with(char::is_uppercase)).collect();
    assert!((1..=12).contains(&types.len()), "with settings, clock and times there are more than fifteen: {types:?}");
    let example = text("services/stream/examples/counter.rs");
    let code_of_it = example.lines().filter(|line| !code(line).trim().is_empty()).count();
    assert!(code_of_it <= 40, "the example has {code_of_it} lines");
    let of_messaging = ["customer", "campaign", "purchase", "channel", "intake", "mail", "send command"];
    let is_product =
        |path: &String| path.starts_with("services/stream/src/") && is_rust(path) && !path.contains("/simulation/");
    for path in tracked().into_iter().filter(is_product) {
        let found = text(&path).lines().position(|line| {
            let line = line.to_lowercase();
            !line.contains("mpsc")
                && !line.contains(" channel::<")
                && !line.contains(" channel();")
                && of_messaging.iter().any(|word| line.contains(word))
        });
        assert!(found.is_none(), "{path}:{} speaks of messaging", found.unwrap_or(0) + 1);
    }
}

#[test]
fn files_are_short() {
    for path in tracked().into_iter().filter(|path| is_rust(path)) {
        let lines = lines(&path);
        assert!(
            lines <= LONGEST_LINES,
            "{path} has {lines} lines: {LONGEST_LINES} are the limit, so give a part of it a name"
        );
    }
}

#[test]
fn half_of_the_files_are_read_at_a_glance() {
    let is_source = |path: &String| {
        let of_product = path.starts_with("services/") || path.starts_with("schemas/");
        of_product && path.contains("/src/") && is_rust(path) && !is_test(path)
    };
    let mut lengths: Vec<usize> = tracked().iter().filter(|path| is_source(path)).map(|path| lines(path)).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median < MEDIAN_LINES, "the median of {} files is {median} lines, not under {MEDIAN_LINES}", lengths.len());
}

#[test]
fn the_program_starts_on_one_page() {
    let lines = lines("services/cascade/src/main.rs");
    assert!(lines <= MAIN_LINES, "services/cascade/src/main.rs has {lines} lines: {MAIN_LINES} are the limit");
}

#[test]
fn the_top_level_is_a_table_of_contents() {
    const CONTENTS: [&str; 9] =
        ["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "deploy", "helm", "schemas", "services", "tests"];
    let tracked = tracked();
    let tops: BTreeSet<&str> = tracked.iter().map(|path| path.split('/').next().unwrap_or(path)).collect();
    let visible: BTreeSet<&str> = tops.into_iter().filter(|top| !top.starts_with('.')).collect();
    assert_eq!(visible, BTreeSet::from(CONTENTS));
}

#[test]
fn nothing_names_the_machine_it_was_made_on() {
    // Put together here, so that this file does not name them either.
    let places = ["work", "root", "farm"].map(|name| format!("/{name}/"));
    for path in tracked() {
        // What is not text holds no paths that anybody reads.
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        let line = text.lines().position(|line| places.iter().any(|place| line.contains(place)));
        assert!(line.is_none(), "{path}:{} names a path of one machine", line.unwrap_or(0) + 1);
    }
}

#[test]
fn nothing_is_left_for_later_in_silence() {
    let excuses = [String::from("todo") + "!", String::from("unimplemented") + "!", String::from("#[") + "ignore"];
    for path in tracked().into_iter().filter(|path| is_rust(path)) {
        let found =
            text(&path).lines().position(|line| excuses.iter().any(|excuse| code(line).contains(excuse.as_str())));
        assert!(found.is_none(), "{path}:{} puts something off", found.unwrap_or(0) + 1);
    }
}

#[test]
fn every_trap_has_its_row_and_the_tests_that_it_names() {
    every_row_names_its_tests("services/campaign", "src/traps.md", 34);
}

#[test]
fn every_invariant_has_its_row_and_the_tests_that_it_names() {
    every_row_names_its_tests("services/stream", "src/invariants.md", 20);
}

#[test]
fn every_attack_has_its_row_and_the_tests_that_it_names() {
    every_row_names_its_tests("services/tracker", "src/attacks.md", 21);
}

/// A page of a crate has a table of so many numbered rows: what there is, what is done about it, and the tests that show it.
fn every_row_names_its_tests(home: &str, page: &str, count: usize) {
    let page = format!("{home}/{page}");
    let lines = text(&page);
    let rows: Vec<Vec<&str>> = lines.lines().filter(|line| line.starts_with("| ")).skip(1).map(cells).collect();
    let numbers: Vec<Option<usize>> = rows.iter().map(|row| row[0].split('.').next()?.parse().ok()).collect();
    assert_eq!(numbers, (1..=count).map(Some).collect::<Vec<_>>(), "{page}: one row for each number, in their order");
    for row in &rows {
        let [what, rule, shown_by] = row.as_slice() else { panic!("{page}: a row has three cells: {row:?}") };
        let named: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!rule.is_empty() && (!named.is_empty() || rule.starts_with("Not yet")), "{what}: what shows its rule?");
        for name in named {
            assert!(exists(home, name), "{what}: there is no test {name}");
        }
    }
}

#[test]
fn every_fuzz_target_is_run_and_has_a_place_to_begin() {
    let (script, manifest) = (text("tests/fuzz.sh"), text("tests/fuzz/Cargo.toml"));
    let list = script.split("targets=(").nth(2).and_then(|rest| rest.split(')').next()).expect("the list of all");
    let listed: BTreeSet<&str> = list.split_whitespace().collect();
    let directory = std::fs::read_dir(root().join("tests/fuzz/fuzz_targets")).expect("the targets");
    let names = directory.map(|file| file.expect("a file").path().file_stem().expect("a name").to_owned());
    let there: BTreeSet<String> = names.map(|name| name.into_string().expect("plain")).collect();
    assert_eq!(listed, there.iter().map(String::as_str).collect());
    for target in &there {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "tests/fuzz/Cargo.toml does not build {target}");
        assert!(script.contains(&format!(" {target})")), "tests/fuzz.sh has no beginnings for {target}");
    }
}

#[test]
fn every_template_that_a_campaign_names_is_there() {
    let named = |path: &String| path.starts_with("deploy/campaigns/") && path.ends_with(".yaml");
    let campaigns: Vec<Plan> = tracked()
        .iter()
        .filter(|path| named(path))
        .filter_map(|path| campaign::parse(path, &text(path)).ok())
        .collect();
    assert!(campaigns.len() > 20, "only {} campaigns", campaigns.len());
    let steps = campaigns.iter().flat_map(|plan| plan.steps.iter().map(move |step| (plan, step)));
    let missing = steps.flat_map(|(plan, step)| {
        let names: Vec<&String> = match &step.template {
            Template::Same(name) => vec![name],
            Template::ByVariant(names) => names.values().collect(),
        };
        let files = names.into_iter().flat_map(|name| {
            step.channels.iter().map(move |channel| format!("deploy/templates/{name}.{}.txt", channel.name))
        });
        files.filter(|file| !root().join(file).exists()).map(move |file| format!("{}: {file}", plan.name))
    });
    assert_eq!(missing.collect::<Vec<_>>(), [""; 0]);
}

fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

/// Whether a timeline, or a test as `file::name`, is there. Paths begin at the top or in this crate.
fn exists(home: &str, name: &str) -> bool {
    let (path, test) = name.split_once("::").unzip();
    let path = path.unwrap_or(name);
    let at_home = format!("{home}/{path}");
    let tracked = tracked();
    let Some(path) = [path, &at_home].into_iter().find(|path| tracked.iter().any(|known| known == path)) else {
        return false;
    };
    let Some(test) = test else { return path.ends_with(".timeline") };
    let text = text(path);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    // Tests of planted mistakes are a list of names and mistakes.
    let planted = lines.iter().skip_while(|line| **line != "planted! {");
    if planted.into_iter().any(|line| line.split(' ').next() == Some(test)) {
        return true;
    }
    let head = format!("fn {test}(");
    let Some(at) = lines.iter().position(|line| line.trim_start_matches("async ").starts_with(&head)) else {
        return false;
    };
    let above = lines[..at].iter().rev().take_while(|line| line.starts_with(['#', '/']));
    above.into_iter().any(|line| ["#[test]", "#[tokio::test"].iter().any(|mark| line.starts_with(mark)))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file that belongs to the project and is there.
fn tracked() -> Vec<String> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git is there");
    assert!(
        listed.status.success(),
        "git cannot list the project's files: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let listed = String::from_utf8(listed.stdout).expect("paths are text");
    let listed = listed.split_terminator('\0').filter(|path| root().join(path).is_file());
    let tracked: Vec<String> = listed.map(str::to_owned).collect();
    assert!(!tracked.is_empty(), "git knows no file of the project");
    tracked
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn lines(path: &str) -> usize {
    text(path).lines().count()
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

/// A file or a directory of tests beside the code that they test.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// A line without the comment at its end.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

fn manifest(path: &str) -> toml::Table {
    let path = Path::new(path).join("Cargo.toml");
    text(&path.display().to_string()).parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a crate's manifest asks for, for itself, its tests and its build.
fn declared(path: &str) -> Vec<(String, toml::Value)> {
    let manifest = manifest(path);
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = kinds.iter().filter_map(|kind| manifest.get(*kind)?.as_table());
    tables.flatten().map(|(name, wanted)| (name.clone(), wanted.clone())).collect()
}

/// Names of what a crate depends on, by whatever name it calls them.
fn dependencies(path: &str) -> BTreeSet<String> {
    let real = |(name, wanted): (String, toml::Value)| match wanted.get("package").and_then(toml::Value::as_str) {
        Some(package) => package.to_owned(),
        None => name,
    };
    declared(path).into_iter().map(real).collect()
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
