//! The same receipts by a load generator that nobody here wrote: `wrk`, where it is installed.

use std::process::Command;

use reqwest::RequestBuilder;
use system_tests::installation::Installation;

use super::POSTERS;

/// How long it posts.
const SECONDS: u32 = 10;

/// What it says of the tracker: requests a second and the time within which 99 of 100 were answered; none where there is no `wrk`.
///
/// # Panics
/// If it was answered anything but 2xx.
pub fn measure(cascade: &Installation, requests: &[(String, RequestBuilder)]) -> Option<String> {
    // Its version ends it with 1.
    Command::new("wrk").arg("--version").output().ok()?;
    let lines: Vec<String> = requests.iter().map(|(_, request)| line(request)).collect();
    let (file, script) = (cascade.place.path("receipts.tsv"), cascade.place.path("wrk.lua"));
    std::fs::write(&file, lines.join("\n")).expect("it can be written");
    std::fs::write(&script, include_str!("wrk.lua")).expect("it can be written");
    let url = requests.first()?.1.try_clone()?.build().expect("a request").url().to_string();
    let mut wrk = Command::new("wrk");
    wrk.args(["--threads", "1", "--latency", "--connections", &POSTERS.to_string()]);
    wrk.args(["--duration", &format!("{SECONDS}s"), "--script"]).arg(script).arg(url).arg("--").arg(file);
    let said = String::from_utf8(wrk.output().expect("wrk runs").stdout).expect("wrk speaks plainly");
    assert!(!said.contains("Non-2xx") && !said.contains("Socket errors"), "{said}");
    let figure = |name: &str| said.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    let (rate, p50, p99) = (figure("Requests/sec:")?, figure("50%")?, figure("99%")?);
    Some(format!("wrk, {POSTERS} connections, {SECONDS} s: {rate} requests a second, p50 {p50}, p99 {p99}"))
}

fn line(request: &RequestBuilder) -> String {
    let request = request.try_clone().expect("it has a plain body").build().expect("it is one");
    let header = |name: &str| request.headers()[name].to_str().expect("it is text").to_owned();
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    let (id, time, signature) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    format!("{id}\t{time}\t{signature}\t{}", String::from_utf8_lossy(body))
}
