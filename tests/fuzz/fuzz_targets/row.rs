//! A customer's row, as it stands in the changelog.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::readers::row(bytes));
