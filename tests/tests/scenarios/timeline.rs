//! A timeline, step by step: nothing of a step a minute before its moment, all of it a minute after, and never anything else.

use schemas::Millis;
use system_tests::installation::{Installation, MINUTE};
use system_tests::shop::{address, sorted};

/// Commands that a test has told of so far, as `customer: channel campaign/step`; each of them a provider must have.
#[derive(Default)]
pub struct Timeline(Vec<String>);

impl Timeline {
    /// At this moment these commands go out, and nothing before it.
    #[track_caller]
    pub fn step(&mut self, shop: &mut Installation, at: Millis, commands: &[impl AsRef<str>]) {
        self.silence(shop, at - MINUTE);
        shop.set_clock(at + MINUTE);
        self.at_once(shop, commands);
    }

    /// These commands go out without a wait.
    #[track_caller]
    pub fn at_once(&mut self, shop: &mut Installation, commands: &[impl AsRef<str>]) {
        self.0.extend(commands.iter().map(|command| command.as_ref().to_owned()));
        self.silence(shop, shop.now());
    }

    /// Nothing more goes out up to this moment.
    #[track_caller]
    pub fn silence(&self, shop: &mut Installation, until: Millis) {
        // What was told just now, is told before time goes on.
        shop.settle();
        shop.pass(until - shop.now());
        assert_eq!(sorted(shop.commands()), sorted(self.0.clone()), "commands (left) that are due (right)");
        let handed = self.0.iter().map(|command| handed(command)).collect();
        assert_eq!(sorted(shop.received()), sorted(handed), "messages (left) that are due (right)");
    }
}

/// How a provider has it.
fn handed(command: &str) -> String {
    let mut words = command.split([':', ' ']).filter(|word| !word.is_empty());
    let (customer, channel) = words.next().zip(words.next()).expect("a customer and a channel");
    format!("{channel} to {}", address(customer, channel))
}
