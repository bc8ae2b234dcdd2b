//! Waiting for conditions. A test never waits for time to pass.

use std::time::Duration;

use stream::clock::Tick;

/// How long a condition may take on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks at a condition.
const GLANCE: Duration = Duration::from_millis(1);

/// Waits until the condition holds; fails the test with `what` if it does not come true.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    until_some(what, || holds().then_some(()));
}

/// The same for what is known to take long.
#[track_caller]
pub fn until_within(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let end = Tick::now().after(patience);
    while !holds() {
        assert!(!end.remaining().is_zero(), "waited {} s in vain until {what}", patience.as_secs());
        std::thread::park_timeout(GLANCE);
    }
}

/// Waits until there is a value.
#[track_caller]
pub fn until_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    until_ok(what, || look().ok_or_else(|| "it is not so".to_owned()))
}

/// Waits until there is a value; fails the test with what was missing at the last look.
#[track_caller]
pub fn until_ok<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Tick::now().after(PATIENCE);
    loop {
        match look() {
            Ok(value) => return value,
            Err(missing) if end.remaining().is_zero() => {
                panic!("waited {} s in vain until {what}: {missing}", PATIENCE.as_secs())
            }
            Err(_) => std::thread::park_timeout(GLANCE),
        }
    }
}
