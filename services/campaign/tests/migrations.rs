//! Over random lives and a migration at a random moment: nothing is sent again by it, no id is made twice, and everything ends.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use campaign::{Effect, due};
use proptest::prelude::*;
use schemas::{Campaign, CampaignKind, Fact, Status, decode, encode};
use world::definition::versions;
use world::life::{Decision, life, live};
use world::{BEGIN, DAY, World, record};

/// What went out, and the last id of each message by its instance, step and channel.
#[derive(Default)]
struct Sent {
    ids: BTreeSet<String>,
    last: BTreeMap<(String, String, String), String>,
}

impl Sent {
    /// A message goes out again only if it was withdrawn before, or if the night ended its time at the worker before its validity did.
    fn watch(&mut self, decision: &Decision<'_>) {
        // With an erasure the memory of what was there before is gone.
        if matches!(decision.fact, Some(Fact::Profile(profile)) if profile.erased) {
            *self = Sent::default();
        }
        for (_, effect) in decision.effects {
            let Effect::Send(send) = effect else { continue };
            assert!(self.ids.insert(send.send_id.clone()), "an id twice: {send:?}");
            let message = (send.instance.clone(), send.step.clone(), send.channel.clone());
            if let Some(before) = self.last.insert(message, send.send_id.clone()) {
                let mut sends = decision.world.customer.instances.iter().flat_map(|instance| &instance.sends);
                let before = sends.find(|sent| sent.id.to_string() == before);
                let nobody_saw_it = |sent: &schemas::Sent| {
                    sent.handed_over_at.is_none() && [Status::Revoked, Status::Expired].contains(&sent.failed)
                };
                assert!(before.is_none_or(nobody_saw_it), "again: {send:?} after {before:?}");
            }
        }
        let row = &decision.world.customer;
        assert_eq!(decode(&encode(row)).as_ref(), Ok(row), "the row is read as another one");
    }
}

/// What moves the instances back again.
fn inverse(first: &str, second: &str, steps: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let names = |definition: &str| -> Vec<String> {
        campaign::parse("c0", definition).unwrap().steps.iter().map(|step| step.name.clone()).collect()
    };
    let before = names(first);
    let place = |name: String| {
        let was = steps.iter().find(|(_, new)| **new == name).map_or(String::new(), |(old, _)| old.clone());
        (!before.contains(&name)).then_some((name, was))
    };
    names(second).into_iter().filter_map(place).collect()
}

proptest! {
    #![proptest_config(world::cases(6_300))]

    #[test]
    fn a_migration_sends_nothing_again(
        (first, second, steps) in versions(),
        before in life(),
        after in life(),
        back in any::<bool>(),
    ) {
        let mut world = World::new(&[&first]);
        let mut sent = Sent::default();
        live(&mut world, &before, |decision| sent.watch(decision));
        world.say(&record(&second)).unwrap();
        let kind = CampaignKind::Migrated;
        let migration = Campaign { campaign: "c0".into(), version: 2, kind, from_version: 1, steps, ..Campaign::default() };
        world.say(&migration).unwrap();
        assert!(world.customer.instances.iter().all(|instance| instance.version == 2));
        if let Some(steps) = back.then(|| inverse(&first, &second, &migration.steps)) {
            let back = Campaign { version: 1, from_version: 2, steps, ..migration };
            world.say(&back).unwrap();
        }
        live(&mut world, &after, |decision| sent.watch(decision));
        world.resume_all();
        let mut rounds = 0;
        while world.fire_next(BEGIN + 5000 * DAY) {
            rounds += 1;
            assert!(rounds < 2000, "deadlines without end");
        }
        assert_eq!(due(&world.customer), None);
    }
}
