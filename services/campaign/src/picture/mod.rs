//! A campaign as a picture: what begins a cascade, each message, what leads on from it, and the ways out.

mod words;
mod text;
mod mermaid;

pub use mermaid::mermaid;
pub use text::text;
