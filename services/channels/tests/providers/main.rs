//! Transports against peers that nobody here wrote.

mod mail;
mod peers;
mod smpp;
