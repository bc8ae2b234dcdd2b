//! Mails that came back: delivery reports, complaints, and whatever else is in such a mailbox.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::providers::bounce(bytes));
