//! A campaign as a picture: what begins a cascade, each message, what leads on from it, and the ways out.

mod words;
mod text;
mod mermaid;
mod migration;

pub use mermaid::mermaid;
pub use migration::migration;
pub use text::text;
