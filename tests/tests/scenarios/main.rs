//! Scenarios of real shops with their timelines, on the whole pipeline of real processes: what must stand on the send topics,
//! and what the providers must have. Those of [`catalogue`] are timelines of `deploy/campaigns`, line by line.

mod timeline;
mod bonus;
mod cart;
mod order;
mod welcome;
mod come_back;
mod stops;
mod poison;
mod forwarded;
mod launch;
mod catalogue;
