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

/// Waits until there is a value.
#[track_caller]
pub fn until_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Tick::now().after(PATIENCE);
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(!end.remaining().is_zero(), "waited {} s in vain until {what}", PATIENCE.as_secs());
        std::thread::park_timeout(GLANCE);
    }
}
