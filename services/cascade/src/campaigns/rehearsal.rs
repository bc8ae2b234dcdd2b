//! `cascade try`: what campaigns would decide about one customer, in virtual time.

use std::io::Write;
use std::path::PathBuf;

use campaign::rehearsal::{Timeline, World};
use campaign::{Effect, Plans, Problem};
use schemas::Journal;
use serde::Serialize;

use crate::failure::{Exit, Failure};
use crate::journal::story;
use crate::times;

use super::documents::{self, refused, unreadable};

/// Which campaigns, and what happens.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = campaign::rehearsal::GRAMMAR)]
pub struct Rehearsal {
    /// Campaigns and a price table: files, or directories of .yaml files
    #[arg(required = true, value_name = "FILE")]
    pub paths: Vec<PathBuf>,
    /// What happens, and on lines with `=>` what is expected to be decided; exit code 2 if something else is. --help has the
    /// grammar, deploy/campaigns/timelines has examples
    #[arg(long, value_name = "FILE")]
    pub timeline: PathBuf,
    /// Time zone to show times in, by its IANA name, instead of the timeline's own
    #[arg(long, value_name = "NAME")]
    pub zone: Option<String>,
    /// One JSON object for each effect instead of sentences
    #[arg(long)]
    pub json: bool,
}

/// Rehearses, and shows all that was decided even where it is not what was expected.
///
/// # Errors
/// `Campaign` for definitions that cannot be applied, `Input` for a timeline that cannot be read or lived through, `Differs`
/// with what was wanted and found.
pub fn rehearse(args: &Rehearsal, out: &mut impl Write) -> Result<String, Failure> {
    let plans = plans(&args.paths)?;
    let name = args.timeline.display().to_string();
    let text = std::fs::read_to_string(&args.timeline).map_err(|error| unreadable(&args.timeline, &error))?;
    let mut timeline = Timeline::parse(&name, &text).map_err(|problems| unfit(&problems))?;
    if let Some(zone) = &args.zone {
        timeline.zone = times::zone(zone)?;
    }
    let world = timeline.play(plans).map_err(|problems| unfit(&problems))?;
    let shown = if args.json { lines(&timeline, &world)? } else { sentences(&name, &timeline, &world) };
    // Whoever closed the pipe has seen enough.
    let _ = out.write_all(shown.as_bytes());
    match timeline.difference(&world) {
        Some(difference) => {
            let sentence =
                format!("{name} expects something else:\n\n{difference}\ncorrect the campaign, or what is expected");
            Err(Failure::new(Exit::Differs, sentence))
        }
        None => Ok(String::new()),
    }
}

fn plans(paths: &[PathBuf]) -> Result<Plans, Failure> {
    let mut plans = Plans::default();
    for document in documents::read(paths)? {
        let end = "correct the definition and try again";
        plans.apply(&document.into_record(0)).map_err(|problems| refused(Exit::Campaign, &problems, end))?;
    }
    Ok(plans)
}

fn unfit(problems: &[Problem]) -> Failure {
    refused(Exit::Input, problems, "correct the timeline and try again")
}

/// The story, with the timeline's lines in the place of the records that only Kafka has.
fn sentences(name: &str, timeline: &Timeline, world: &World) -> String {
    let title = format!("The rehearsal of {name}");
    let records: Vec<&Journal> = world.journal();
    let mut text = story::events(&title, &records, &timeline.zone, |record| world.cause(record));
    match (timeline.expectations(), timeline.difference(world)) {
        (0, _) => {}
        (count, None) => text.push_str(&format!("All is as expected: {count} decisions.\n")),
        (_, Some(_)) => text.push_str("Something else was expected.\n"),
    }
    text
}

/// An effect as it is printed: which, when, and its record.
#[derive(Serialize)]
struct Line<'w, R> {
    effect: &'static str,
    since: String,
    record: &'w R,
}

fn lines(timeline: &Timeline, world: &World) -> Result<String, Failure> {
    let line = |(since, effect): (String, &Effect)| match effect {
        Effect::Send(send) => serde_json::to_string(&Line { effect: "send", since, record: &**send }),
        Effect::Revoke(revoke) => serde_json::to_string(&Line { effect: "revoke", since, record: revoke }),
        Effect::Journal(journal) => serde_json::to_string(&Line { effect: "journal", since, record: &**journal }),
        Effect::Forward { input, .. } => serde_json::to_string(&Line { effect: "forward", since, record: &**input }),
        Effect::Suppress { mark, .. } => serde_json::to_string(&Line { effect: "suppress", since, record: mark }),
        Effect::SetAside { code } => serde_json::to_string(&Line { effect: "set aside", since, record: code }),
    };
    let lines: Result<Vec<String>, _> = timeline.effects(world).map(line).collect();
    Ok(lines.map_err(Failure::unexpected)?.into_iter().map(|line| line + "\n").collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMPAIGN: &str = "campaign: c\nversion: 1\ntrigger: {on: registration}\n\
                            steps: [{name: first, channel: email, template: t}]\n";

    /// What is printed for a timeline, and how the run ends.
    fn run(timeline: &str, json: bool) -> (String, Result<String, Failure>) {
        let directory = tempfile::tempdir().unwrap();
        let (campaign, path) = (directory.path().join("c.yaml"), directory.path().join("t"));
        std::fs::write(&campaign, CAMPAIGN).unwrap();
        std::fs::write(&path, timeline).unwrap();
        let args = Rehearsal { paths: vec![campaign], timeline: path, zone: None, json };
        let mut out = Vec::new();
        let end = rehearse(&args, &mut out);
        (String::from_utf8(out).unwrap(), end)
    }

    #[test]
    fn a_rehearsal_tells_the_story_with_the_timelines_lines() {
        let (text, end) =
            run("zone Europe/Moscow\n0 has email\n0 registers\n=> 0 ENTERED\n=> 0 send first by email", false);
        assert_eq!(end, Ok(String::new()));
        let (_, text) = text.split_once('\n').unwrap();
        assert_eq!(
            text,
            "
Mon 1 Jun 2026, 13:00:00  Line 2: has email.
    the profile was replaced.

Mon 1 Jun 2026, 13:00:00  Line 3: registers.
    c version 1: the trigger matched; an instance was entered. It will be looked at again on Tue 2 Jun 2026, 13:05:00.
    c version 1, step first, on email: a send command was published. It will be looked at again on Tue 2 Jun 2026, 13:05:00.
        because email = ok

Mon 1 Jun 2026, 13:00:00  The worker answers.
    c version 1, step first, on email: the worker handed it over: the wait begins. It will be looked at again on Tue 2 Jun 2026, 13:00:00.
        because status = ACCEPTED

Awaited: c version 1 until Tue 2 Jun 2026, 13:00:00.
All is as expected: 2 decisions.
"
        );
    }

    #[test]
    fn a_difference_is_told_with_its_own_exit_code_behind_the_story() {
        let (text, end) = run("0 registers\n=> 0 ENTERED\n=> 0 send first by email", false);
        assert!(text.ends_with("Something else was expected.\n"), "{text}");
        let failure = end.unwrap_err();
        assert_eq!(failure.exit, Exit::Differs);
        assert!(failure.sentence.contains("  wanted  0 send first by email   (line 3)\n"), "{failure}");
        assert!(failure.sentence.contains("  found   0 NO_CONTACT first\n"), "{failure}");
    }

    #[test]
    fn a_timeline_with_a_mistake_is_refused_with_its_place() {
        let (text, end) = run("0 regsters", false);
        assert_eq!(text, "");
        let failure = end.unwrap_err();
        assert_eq!(failure.exit, Exit::Input);
        assert!(failure.sentence.contains("1 | 0 regsters") && failure.sentence.contains("did you mean `registers`?"));
    }

    #[test]
    fn each_effect_is_one_json_object() {
        let (text, end) = run("0 has email\n1h registers", true);
        assert_eq!(end, Ok(String::new()));
        let objects: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let shapes: Vec<String> = objects
            .iter()
            .map(|it| format!("{} {} {}", it["effect"], it["since"], it["record"]["reason"]).replace('"', ""))
            .collect();
        let wanted = ["journal 0 PROFILE_UPDATED", "journal 1h ENTERED", "send 1h null", "journal 1h SENT"];
        assert_eq!(shapes[..4], wanted);
    }
}
