//! A Kafka that is busy with other things: it stands still most of the time, and so does whoever waits for an answer.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::node::Node;

/// How long it stands still: shorter than any session of a group, of brokers among each other, or of their quorum.
const STILL: Duration = Duration::from_millis(300);
/// How long it works in between.
const AWAKE: Duration = Duration::from_millis(60);

/// It lasts until this is dropped.
#[derive(Debug)]
pub struct Slow {
    goes_on: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Slow {
    pub(super) fn begin(nodes: &'static [Node]) -> Self {
        let (goes_on, ends) = mpsc::channel();
        let lasts = move |span| ends.recv_timeout(span) == Err(RecvTimeoutError::Timeout);
        let hold_up = move || {
            let mut goes_on = true;
            while goes_on {
                nodes.iter().for_each(|node| node.signal(Signal::SIGSTOP));
                goes_on = lasts(STILL);
                nodes.iter().for_each(|node| node.signal(Signal::SIGCONT));
                goes_on = goes_on && lasts(AWAKE);
            }
        };
        let thread = stream::thread::spawn("slow broker", hold_up).expect("there is a thread left");
        Slow { goes_on: Some(goes_on), thread: Some(thread) }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        drop(self.goes_on.take());
        // The brokers are awake again when it has ended.
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}
