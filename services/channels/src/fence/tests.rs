use proptest::prelude::*;

use super::*;

#[test]
fn no_more_than_the_share_goes_out_in_an_hour() {
    let mut fence = Fence::new(1_000, 4);
    assert_eq!(fence.pass(200, 5), Some(Charge { hour: 0, minor: 200 }));
    assert!(!fence.holds(5));
    assert_eq!(fence.pass(60, 5), None);
    assert!(fence.holds(HOUR - 1) && !fence.holds(HOUR));
    assert!(fence.pass(50, 5).is_some() && fence.pass(0, 5).is_some(), "what costs nothing passes");
    assert!(fence.pass(60, HOUR).is_some());
    assert!(!fence.holds(HOUR));
}

#[test]
fn what_is_given_back_makes_room_in_its_own_hour() {
    let mut fence = Fence::new(100, 1);
    let charge = fence.pass(60, 0).unwrap();
    assert!(!fence.admits(60, 9) && fence.admits(40, 9));
    assert_eq!(fence.noted(), "0:60", "a question counts nothing");
    fence.give_back(charge);
    assert_eq!(fence.noted(), "0:0");
    assert_eq!(fence.pass(60, HOUR), Some(Charge { hour: 1, minor: 60 }));
    fence.give_back(charge);
    assert_eq!(fence.noted(), "1:60", "an hour that is over is over");
}

#[test]
fn a_successor_goes_on_where_the_predecessor_stood() {
    let mut fence = Fence::new(100, 1);
    fence.pass(60, 7 * HOUR);
    let mut next = Fence::new(100, 1);
    next.recall(&fence.noted());
    assert_eq!(next.pass(60, 7 * HOUR), None);
    // A clock that stands behind gives nobody another hour.
    assert_eq!(next.pass(60, 6 * HOUR), None);
    next.recall("nonsense");
    assert_eq!(next.noted(), "7:60");
}

#[test]
fn without_a_limit_all_pass() {
    let mut fence = Fence::new(0, 8);
    assert!((0..99).all(|_| fence.pass(i64::MAX, 0).is_some()));
}

proptest! {
    #[test]
    fn whatever_happens_the_share_holds(
        steps in prop::collection::vec((0_i64..200, 0_i64..4, any::<bool>(), any::<bool>()), 0..200)
    ) {
        let (mut fence, mut sums, mut now) = (Fence::new(500, 1), std::collections::BTreeMap::new(), 0);
        for (price, hours, refused, crash) in steps {
            now += hours * HOUR / 3;
            if let Some(charge) = fence.pass(price, now) {
                *sums.entry(now / HOUR).or_insert(0) += price;
                if refused {
                    fence.give_back(charge);
                    *sums.entry(now / HOUR).or_insert(0) -= price;
                }
            }
            if crash {
                let note = fence.noted();
                fence = Fence::new(500, 1);
                fence.recall(&note);
            }
            prop_assert!(sums.values().all(|sum| *sum <= 500), "{sums:?}");
        }
    }
}
