//! Where a story stands, and its order.

use super::*;

#[test]
fn a_story_in_two_partitions_is_told_in_one_order() {
    let record = |at, step: &str| Journal { at, step: step.to_owned(), ..Journal::default() };
    let newer = vec![record(30, "e"), record(40, "f")];
    let older = vec![record(10, "a"), record(20, "b"), record(20, "c"), record(30, "d")];
    let steps: String = joined(vec![older, Vec::new(), newer]).into_iter().map(|record| record.step).collect();
    assert_eq!(steps, "abcdef");
}

#[test]
fn all_partitions_are_read_where_some_were_added() {
    assert_eq!(where_it_may_be("c1", 8, 8), [partition_of(b"c1", 8)]);
    assert_eq!(where_it_may_be("c1", 3, 2), [0, 1, 2]);
    // Made elsewhere, with fewer.
    assert_eq!(where_it_may_be("c1", 2, 8), [0, 1]);
}
