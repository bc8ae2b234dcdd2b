//! Settings and files of this machine.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::Service;
use super::finding::{Finding, Gravity};
use crate::config::{self, Common, Flags, Process, Reader, Time};
use crate::failure::Failure;
use crate::state;

/// Properties of the client that exactly-once rests on. Ours hold whatever is set; who sets them expects something else.
const OURS: [&str; 9] = [
    "acks",
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "group.id",
    "isolation.level",
    "request.required.acks",
    "transactional.id",
];

/// A configuration that no service would take.
pub fn refused(failure: &Failure) -> Vec<Finding> {
    let finding = |line: &str| {
        Finding::threat("settings", line, "correct it; `cascade config explain` shows where each value comes from")
    };
    failure.sentence.lines().map(finding).collect()
}

struct Rest {
    instance: Option<String>,
    state: PathBuf,
    reserve: u64,
    templates: PathBuf,
    url: Option<String>,
    keys: Vec<PathBuf>,
    waits: String,
}

/// Looks at them as services would, and a little closer.
///
/// # Errors
/// If the settings cannot be read at all.
pub fn examine(flags: &Flags, common: &Common, services: &[Service]) -> Result<Vec<Finding>, Failure> {
    let mut findings = sections(flags, common, services);
    let rest = config::read(flags, &Process, |reader| Rest {
        instance: reader.optional("instance").filter(|name| !name.is_empty()),
        state: PathBuf::from(reader.text("state.dir")),
        reserve: reader.text("state.reserve").parse().unwrap_or(0),
        templates: PathBuf::from(reader.text("templates.dir")),
        url: reader.optional("tracker.url").filter(|url| !url.is_empty()),
        keys: key_files(reader),
        waits: reader.text("sources.wait"),
    })?;
    findings.extend(client(common));
    findings.extend(files(&rest, services));
    if rest.instance.is_none() {
        let name = &common.kafka.instance;
        findings.push(Finding::advice(
            "instance",
            format!("is not set, so this process is called after its machine: {name}"),
            "two processes of one kind on one machine would fence each other: give each a name that is stable over restarts",
        ));
    }
    if let Time::Driven(path) = &common.time {
        findings.push(Finding::threat(
            "clock",
            format!("business time is whatever {} says", path.display()),
            "that is for demos and tests: remove the setting `clock`",
        ));
    }
    if common.suppressor.is_none() {
        findings.push(Finding::advice(
            "suppression.secret",
            "is not set: who did not want to be written to and is erased is written to again when an old profile of his is imported",
            "set it for intake, operator and tools, to 32 random bytes that are never changed: see deploy/runbook/security.md",
        ));
    }
    if rest.waits == "no" {
        findings.push(Finding::threat(
            "sources.wait",
            "deadlines do not wait for what intake has not read, so somebody who has bought may be messaged",
            "set it to `yes`, unless a source is broken right now",
        ));
    }
    if rest
        .url
        .as_ref()
        .is_some_and(|url| url.starts_with("http://") && !url.contains("127.0.0.1") && !url.contains("localhost"))
    {
        findings.push(Finding::threat(
            "tracker.url",
            "links in messages are without TLS: mail programs warn of them, and anybody on the way reads them",
            "serve the tracker by https and name that address",
        ));
    }
    Ok(findings)
}

/// What the services' own readers find in the sections of tracker and channels, where there are such sections. A file that is not here need
/// not be, unless the service runs here that needs it: a pod of tools has none of them.
fn sections(flags: &Flags, common: &Common, services: &[Service]) -> Vec<Finding> {
    let (mut findings, mut elsewhere) = (Vec::new(), BTreeSet::new());
    let mut look = |service: Service, read: &dyn Fn(&mut Reader<'_>)| {
        let Err(failure) = config::read(flags, &Process, read) else { return };
        for finding in refused(&failure) {
            match absent(&finding.what).filter(|_| !services.contains(&service)) {
                Some(path) => _ = elsewhere.insert(path.to_owned()),
                None => findings.push(finding),
            }
        }
    };
    look(Service::Tracker, &|reader| {
        if reader.optional("tracker.keys").is_some_and(|keys| !keys.is_empty()) {
            config::tracker(reader);
        }
    });
    for channel in &common.channels {
        look(Service::Channel, &|reader| {
            if !reader.section(channel).is_empty() {
                config::channel(channel, common, reader);
            }
        });
    }
    findings.dedup();
    findings.extend(elsewhere.iter().map(|path| unseen("files", Path::new(path))));
    findings
}

/// What is said of a file or directory that is not here.
fn unseen(place: &str, path: &Path) -> Finding {
    Finding::advice(
        place,
        format!("{} is not here, so nobody has looked at it", path.display()),
        "whoever needs it says at its start if it lacks; where that runs, ask with --service",
    )
}

/// The file or directory that a problem is about, if it is only that it is not here. Problems name it before what is wrong with it.
fn absent(problem: &str) -> Option<&str> {
    let before = |words: &str| {
        let ends = problem.match_indices(words).map(|(end, _)| end).collect::<Vec<_>>();
        ends.into_iter().filter_map(move |end| problem[..end].rsplit(' ').next())
    };
    let files = before(": ").filter(|path| path.starts_with('/'));
    files.chain(before(" is no directory of templates")).find(|path| !Path::new(path).exists())
}

fn key_files(reader: &mut Reader<'_>) -> Vec<PathBuf> {
    let keys = reader.optional("tracker.keys").unwrap_or_default();
    let place = |part: &str| part.trim().split_once(':').map(|(_, place)| place.to_owned());
    keys.split(',').filter_map(place).filter(|place| !place.starts_with("env:")).map(PathBuf::from).collect()
}

fn client(common: &Common) -> Vec<Finding> {
    let properties = &common.kafka.properties;
    let mut findings: Vec<Finding> = OURS
        .iter()
        .filter(|name| properties.contains_key(**name))
        .map(|name| {
            Finding::threat(
                format!("kafka.{name}"),
                "is set, and has no effect: exactly-once rests on our own value",
                "remove it",
            )
        })
        .collect();
    let is = |name: &str| properties.get(name).map(String::as_str);
    if let Some(partitioner) = is("partitioner").filter(|chosen| *chosen != "murmur2_random") {
        findings.push(Finding::threat(
            "kafka.partitioner",
            format!("is {partitioner}: a customer's records and his state would lie in different partitions"),
            "remove it; ours is Java's, murmur2_random",
        ));
    }
    let speaks_plainly = is("security.protocol").is_none_or(|protocol| protocol.eq_ignore_ascii_case("plaintext"));
    if speaks_plainly && properties.keys().any(|name| name.starts_with("sasl.") || name.starts_with("ssl.")) {
        findings.push(Finding::threat(
            "kafka.security.protocol",
            "is plaintext, so what is set under sasl. and ssl. has no effect",
            "set it to SASL_SSL or SSL",
        ));
    }
    if is("security.protocol").is_some_and(|protocol| protocol.eq_ignore_ascii_case("sasl_plaintext")) {
        findings.push(Finding::advice(
            "kafka.security.protocol",
            "is SASL_PLAINTEXT: whoever is on the way reads everything",
            "set it to SASL_SSL",
        ));
    }
    findings
}

fn files(rest: &Rest, services: &[Service]) -> Vec<Finding> {
    // Where the service does not run that needs it, it does no harm.
    let of = |service: Service, finding: Finding| match services.contains(&service) {
        true => finding,
        false => Finding { gravity: Gravity::Advice, ..finding },
    };
    let mut findings = Vec::new();
    let is_elsewhere = |service: Service, path: &Path| !services.contains(&service) && !path.exists();
    if let Err(failure) = state::look(&rest.state) {
        if is_elsewhere(Service::Operator, &rest.state) {
            findings.push(unseen("state.dir", &rest.state));
        } else {
            let finding = Finding::threat(
                "state.dir",
                failure.sentence,
                "where an operator runs: it needs it, no other service does",
            );
            findings.push(of(Service::Operator, finding));
        }
    } else if let Some(finding) = room(state::existing(&rest.state), rest.reserve) {
        findings.push(of(Service::Operator, finding));
    }
    if is_elsewhere(Service::Channel, &rest.templates) {
        findings.push(unseen("templates.dir", &rest.templates));
    } else if !rest.templates.is_dir() {
        let finding = Finding::threat(
            "templates.dir",
            format!("{} is no directory: workers cannot render a message", rest.templates.display()),
            "where a worker runs, name the directory of the templates",
        );
        findings.push(of(Service::Channel, finding));
    }
    for path in &rest.keys {
        let is_open = std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o007 != 0);
        if is_open {
            findings.push(Finding::threat(
                "tracker.keys",
                format!(
                    "{} may be read by everybody on this machine, and who has it signs links as we do",
                    path.display()
                ),
                "chmod o-rwx; and change the key, as deploy/runbook/security.md says",
            ));
        }
    }
    findings
}

fn room(dir: &Path, reserve: u64) -> Option<Finding> {
    let found = statvfs(dir).ok()?;
    let left = found.blocks_available().saturating_mul(found.fragment_size()) >> 20;
    (left < reserve).then(|| {
        Finding::threat(
            "state.reserve",
            format!("{left} MiB are free on the disk of {}, and {reserve} are to stay free: no partition would be taken over", dir.display()),
            "make room, or enlarge the volume",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_not_here_is_told_from_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path().display();
        let lacks = format!("channel sms: transport.token: {here}/token: No such file or directory (os error 2)");
        assert_eq!(absent(&lacks), Some(format!("{here}/token").as_str()));
        let keys = format!("tracker: signing key 1: secret_file {here}/1: No such file or directory (os error 2)");
        assert_eq!(absent(&keys), Some(format!("{here}/1").as_str()));
        let templates = "channel sms: /nowhere/at/all is no directory of templates: correct templates.dir";
        assert_eq!(absent(templates), Some("/nowhere/at/all"));
        std::fs::write(dir.path().join("token"), "").unwrap();
        let is_empty = format!("channel sms: transport.token: {here}/token: the secret is empty");
        let wrong = [
            is_empty.as_str(),
            "channel sms: rate_per_second must be at least 1",
            "channel.sms: missing field `url`: x",
        ];
        assert!(wrong.iter().all(|problem| absent(problem).is_none()));
    }
}
