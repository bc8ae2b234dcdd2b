//! Spans on their way to whoever collects them. What they are about, the application knows; where they go, the program does.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Millis;

/// Something that took some time, as a part of something larger. Nothing in it may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it is part of.
    pub trace: u128,
    /// Its own id, not 0. One that is told twice has the same.
    pub id: u64,
    /// The span that led to it.
    pub parent: Option<u64>,
    /// A span of another trace that led to it.
    pub link: Option<(u128, u64)>,
    /// One of few names.
    pub name: &'static str,
    /// What part it plays.
    pub kind: Kind,
    /// In machine time.
    pub began: Millis,
    /// In machine time.
    pub ended: Millis,
    /// It failed, with this code.
    pub failed: Option<&'static str>,
    /// What there is to say of it. What is empty is left out.
    pub attributes: Vec<(&'static str, String)>,
}

/// What part a span plays, as OpenTelemetry has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something within a service.
    Internal,
    /// A record was read.
    Consumer,
    /// A record was written.
    Producer,
    /// Somebody else was called.
    Client,
}

/// Takes spans, and never waits.
pub trait Collect: fmt::Debug + Send + Sync {
    /// Takes one; where there is no room, it is lost.
    fn take(&self, span: Span);
}

/// Keeps them all: for whoever looks at what is told.
impl Collect for Mutex<Vec<Span>> {
    fn take(&self, span: Span) {
        self.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }
}

/// Where spans go. Cheap to clone; nowhere, unless it is told.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<dyn Collect>>);

impl Traces {
    /// Spans go there.
    pub fn to(collector: Arc<dyn Collect>) -> Self {
        Traces(Some(collector))
    }

    /// Whether anybody collects them.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Sends a span on its way.
    pub fn tell(&self, span: Span) {
        if let Some(collector) = &self.0 {
            collector.take(span);
        }
    }
}
