//! Where a group stands.

/// A committed position of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Next offset to read; none where the group has none.
    pub offset: Option<i64>,
    /// What the owner wrote beside it.
    pub metadata: String,
}
