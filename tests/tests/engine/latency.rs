//! What one small transaction costs when there is nothing else to do.

use std::time::Duration;

use stream::clock::Tick;
use system_tests::summer::Settings;

use crate::steps::Ground;

const SAMPLES: usize = 200;

#[test]
fn a_lone_record_is_committed_at_once() {
    let ground = Ground::new("lone", 1);
    let _summer = ground.start(&Settings::new(&ground.place, "a"));
    ground.say_in(0, "k", "+1");
    ground.wait_for_all_sums();
    let mut sums = ground.tail("sums");
    sums.until("it is caught up", |sums| sums.len() == 1);

    let mut took: Vec<Duration> = Vec::new();
    for sample in 0..SAMPLES {
        let sent = Tick::now();
        ground.say_in(0, "k", "+1");
        sums.until("its sum is told", |sums| sums.len() == sample + 2);
        took.push(sent.elapsed());
    }
    took.sort_unstable();
    let (fast, median, p99) = (took[SAMPLES / 20], took[SAMPLES / 2], took[SAMPLES * 99 / 100]);
    system_tests::tell(format_args!("record written -> sum readable: p5 {fast:?}, p50 {median:?}, p99 {p99:?}"));
    // The client library's own commit waits 100 ms in its flush, each time: so nothing would be faster than that, however busy the
    // machine is or not.
    assert!(fast < Duration::from_millis(90), "p5 {fast:?}, p50 {median:?}, p99 {p99:?}");
}
