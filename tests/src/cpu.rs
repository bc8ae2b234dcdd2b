//! How much processor time a process has taken, all its threads and the kernel on their behalf together.

/// The unit of `/proc/<id>/stat` on Linux, whatever the kernel's own tick.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of processor time that a living process has taken; `self` for the caller.
pub fn seconds_of(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process lives");
    // The name of the program, in brackets, may hold anything; behind it stand numbers, `utime` and `stime` as 12th and 13th.
    let numbers = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = numbers.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks are a number"));
    ticks.sum::<u64>() as f64 / TICKS_PER_SECOND
}

/// How many processes wanted to run in the last minute, on average: above the number of processors, figures are rough.
pub fn load() -> String {
    let averages = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().unwrap_or_default().to_owned()
}
