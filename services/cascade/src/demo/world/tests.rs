use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::super::shop;
use super::*;

fn real() -> Vec<Basket> {
    shop::baskets(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/data/baskets.csv.gz")).unwrap()
}

fn day(text: &str) -> Millis {
    shop::midnight(text.parse().unwrap()).unwrap()
}

fn april(seed: u64) -> World {
    World::new(real(), seed, day("2017-04-01"), day("2017-05-01"), usize::MAX)
}

/// A hash of what happens to whom and when, what it is worth and how one can be reached.
fn digest(world: &World) -> u64 {
    let line = |happening: &Happening| {
        let detail = match world.source(happening) {
            Source::Profile(profile) => profile.contacts.into_iter().map(|contact| contact.address).collect(),
            Source::Cart(cart) => cart.total_minor.to_string(),
            Source::Action(action) => action.amount_minor.to_string(),
            Source::Registration(_) | Source::Inactivity(_) => String::new(),
        };
        format!("{happening:?} {detail}\n")
    };
    xxh3_64(world.happenings().iter().map(line).collect::<String>().as_bytes())
}

fn basket(id: u64, household: u32, at: Millis) -> Basket {
    Basket { at, household, id, total_minor: 1_000, pieces: 4 }
}

#[test]
fn the_same_seed_makes_the_same_world_and_another_seed_another_one() {
    assert_eq!(digest(&april(1)), digest(&april(1)));
    assert_ne!(digest(&april(1)), digest(&april(2)));
}

#[test]
fn a_month_of_the_real_year_is_as_it_was_when_the_rules_were_written() {
    let world = april(1);
    // Changes only when a rule does; then every figure of the demo changes too.
    assert_eq!((world.happenings().len(), digest(&world)), (25_530, 9_568_746_424_026_118_152));
}

#[test]
fn time_never_runs_backwards() {
    assert!(april(3).happenings().is_sorted_by_key(|happening| happening.at));
}

#[test]
fn a_cart_stands_before_its_purchase_and_after_the_purchase_before() {
    let world = april(1);
    let mut bought: BTreeMap<u32, Millis> = BTreeMap::new();
    let mut seen: BTreeMap<String, i64> = BTreeMap::new();
    for happening in world.happenings() {
        match world.source(happening) {
            Source::Cart(cart) => {
                assert!(
                    bought.get(&happening.household).is_none_or(|bought| *bought < cart.occurred_at),
                    "{}",
                    cart.cart_id
                );
                let version = seen.insert(cart.cart_id, cart.version).unwrap_or(cart.version - 1);
                assert!(version < cart.version);
            }
            Source::Action(action) if action.action == "purchase" => {
                bought.insert(happening.household, action.occurred_at);
            }
            _ => {}
        }
    }
    assert!(bought.len() > 1_000, "{}", bought.len());
}

#[test]
fn the_first_basket_registers_and_is_no_purchase() {
    let world = World::new(vec![basket(1, 9, DAY_MS), basket(2, 9, 2 * DAY_MS)], 1, 0, 30 * DAY_MS, usize::MAX);
    let topics: Vec<_> = world.happenings().iter().map(Happening::topic).collect();
    assert_eq!(topics[..2], ["profile", "registration"]);
    let purchases = world.happenings().iter().filter(|happening| matches!(happening.what, What::Purchase { .. }));
    assert_eq!(purchases.count(), 1);
}

#[test]
fn who_was_there_before_is_told_of_by_a_profile_that_does_not_count() {
    let world = World::new(vec![basket(1, 9, DAY_MS), basket(2, 9, 5 * DAY_MS)], 1, 2 * DAY_MS, 6 * DAY_MS, 0);
    let told: Vec<_> = world.happenings().iter().map(|happening| (happening.at, happening.topic())).collect();
    assert_eq!(told, [(2 * DAY_MS, "profile")]);
}

#[test]
fn a_limit_counts_events_and_not_profiles() {
    let world = World::new(real(), 1, day("2017-01-01"), day("2017-02-01"), 100);
    assert_eq!(world.happenings().iter().filter(|happening| happening.is_event()).count(), 100);
    assert!(world.happenings().len() > 100);
}

#[test]
fn a_silence_comes_in_once_and_the_bonus_before_it() {
    let world = World::new(vec![basket(1, 9, DAY_MS), basket(2, 9, 80 * DAY_MS)], 1, 0, 100 * DAY_MS, usize::MAX);
    let days = |wanted: fn(What) -> bool| -> Vec<i64> {
        world
            .happenings()
            .iter()
            .filter(|happening| wanted(happening.what))
            .map(|happening| happening.at / DAY_MS)
            .collect()
    };
    assert_eq!(days(|what| matches!(what, What::BonusExpiring { .. })), [22]);
    assert_eq!(days(|what| matches!(what, What::Inactivity { .. })), [31]);
}

#[test]
fn carts_are_left_as_often_as_the_rules_say() {
    let world = World::new(real(), 1, day("2017-01-01"), day("2018-01-01"), usize::MAX);
    let count = |wanted: fn(What) -> bool| world.happenings().iter().filter(|happening| wanted(happening.what)).count();
    let purchases = count(|what| matches!(what, What::Purchase { .. }));
    let taken_up = count(|what| matches!(what, What::Cart { version: 2, .. }));
    let strays = count(|what| matches!(what, What::Stray { emptied: false, .. }));
    let emptied = count(|what| matches!(what, What::Stray { emptied: true, .. }));
    assert!(
        (150..250).contains(&(taken_up * 1000 / purchases)),
        "{taken_up} of {purchases}: some had no room before them"
    );
    assert!(
        (70..150).contains(&(strays * 1000 / purchases)),
        "{strays} of {purchases}: some had no room before the next basket"
    );
    assert!((60..110).contains(&(emptied * 1000 / strays)), "{emptied} of {strays}");
}
