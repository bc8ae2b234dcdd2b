//! Mistakes that the simulator must find. A simulator that cannot find them proves nothing; a build without it has none.
#![cfg_attr(not(feature = "simulation"), expect(dead_code, reason = "some are planted in the simulated brokers alone"))]

/// A mistake that engines like this one have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The input's positions are committed after the transaction, not in it.
    OffsetsOutside,
    /// Positions are committed without a generation, so that nobody refuses those of a zombie.
    NoGeneration,
    /// RocksDB is written before the transaction is committed.
    StoreBeforeCommit,
    /// META stands before the rows of its transaction, not behind them.
    MetaFirst,
    /// META is handed over while other brokers do not have the outputs of its transaction yet.
    MetaUnsettled,
    /// That a sweep is done is forgotten as soon as another one is.
    SweepForgotten,
    /// Partitions are claimed together with one whose changelog nobody leads.
    OneHoldsUpAll,
    /// A partition that has to be claimed anew by itself is forgotten.
    ClaimForgotten,
    /// Restoring ends at the last stable offset, not at the BARRIER.
    RestoreToStableEnd,
    /// A new owner writes no BARRIER.
    NoBarrier,
    /// A deadline that is armed before the place up to which the index is in memory is not put there.
    CursorStays,
    /// After an unknown outcome the producer is used again.
    ProducerKept,
    /// A local state that does not belong to the changelog is gone on with.
    StaleStateMerged,
    /// Restoring, and keeping warm, read what is not committed.
    RestoreUncommitted,
    /// Keeping warm alone does.
    StandbyUncommitted,
    /// Deadlines fire though records that were there are not read yet.
    DeadlinesFirst,
    /// Deadlines fire though the topics before the input are not read yet.
    SourcesUnread,
    /// Rows of a torn transaction are not written anew, so that a later META closes them.
    TornClosed,
    /// Once there was a torn transaction, everything is sent twice.
    TornSentTwice,
    /// A checkpoint counts as whole with one row less than it waits for.
    SavedEarly,
    /// Entries are retired with a checkpoint though they were armed after it was begun.
    RetiredLate,
    /// A new owner begins a sweep anew.
    SweepAnew,
    /// A partition follows a clock that is set back, or that of a new owner which is behind.
    ClockGoesBack,
    /// Nobody notices that a rebalance which was cut short has left partitions to nobody.
    GapStays,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 24] = [
        Bug::OffsetsOutside,
        Bug::NoGeneration,
        Bug::StoreBeforeCommit,
        Bug::MetaFirst,
        Bug::MetaUnsettled,
        Bug::SweepForgotten,
        Bug::OneHoldsUpAll,
        Bug::ClaimForgotten,
        Bug::RestoreToStableEnd,
        Bug::NoBarrier,
        Bug::CursorStays,
        Bug::ProducerKept,
        Bug::StaleStateMerged,
        Bug::RestoreUncommitted,
        Bug::StandbyUncommitted,
        Bug::DeadlinesFirst,
        Bug::SourcesUnread,
        Bug::TornClosed,
        Bug::TornSentTwice,
        Bug::SavedEarly,
        Bug::RetiredLate,
        Bug::SweepAnew,
        Bug::ClockGoesBack,
        Bug::GapStays,
    ];
}

#[cfg(feature = "simulation")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
    static HAS_BEGUN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Plants a bug in all that this thread does from now on.
#[cfg(feature = "simulation")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
    HAS_BEGUN.set(false);
}

/// Whether a bug is planted here.
#[cfg(feature = "simulation")]
pub fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether a bug is planted here and has begun: from the first time on that `begins` says so.
#[cfg(feature = "simulation")]
pub fn is_planted_from(bug: Bug, begins: impl FnOnce() -> bool) -> bool {
    is_planted(bug) && (HAS_BEGUN.get() || begins()) && {
        HAS_BEGUN.set(true);
        true
    }
}

/// Whether a bug is planted here and has begun: never.
#[cfg(not(feature = "simulation"))]
pub fn is_planted_from(_bug: Bug, _begins: impl FnOnce() -> bool) -> bool {
    false
}

/// Whether a bug is planted here: never.
#[cfg(not(feature = "simulation"))]
pub const fn is_planted(_bug: Bug) -> bool {
    false
}
