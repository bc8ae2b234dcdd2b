//! Money: what a message costs whom, in which order messages are tried because of it, and when a price is reserved, owed, and free
//! again.

mod world;

use std::collections::BTreeMap;

use proptest::prelude::*;
use schemas::{CampaignKind, Contact, Fact, Journal, Profile, Reason};
use world::definition::campaigns;
use world::life::{Event, life, live};
use world::script::{check, play, told};
use world::{BEGIN, DAY, World};

/// An SMS, then a push.
const SMS_FIRST: &str = "campaign: two
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
steps:
  - {name: first, channel: sms, template: t, wait: 3h, valid: 6h}
  - {name: second, channel: push, template: t, wait: 3h}
";

const ON_SUBMIT: &str = "currency: USD\nprices: [{channel: sms, minor: 4}]\n";
const ON_DELIVERY: &str = "currency: USD\nprices: [{channel: sms, minor: 4, charge: on delivery}]\n";

/// What is reserved and what is owed of the first message's price, an SMS for 4, after these words.
fn owed(prices: &str, words: &str) -> (i64, i64) {
    let mut world = World::new(&[SMS_FIRST]);
    world.apply(CampaignKind::Prices, prices);
    let begin = "0 worker off\n 0 has sms push\n 0 does lead";
    begin.lines().chain(words.lines()).for_each(|line| play(&mut world, line.trim()));
    sums(world.journal().into_iter()).into_values().fold((0, 0), |(held, owed), sum| (held + sum.0, owed + sum.1))
}

/// Reserved less given back, and owed, by send.
fn sums<'j>(journal: impl Iterator<Item = &'j Journal>) -> BTreeMap<String, (i64, i64)> {
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for entry in journal {
        let moves = (entry.amount_minor, entry.charged_minor) != (0, 0);
        assert!(!moves || !entry.campaign.is_empty(), "whose money? {entry:?}");
        let sum = sums.entry(entry.send_id.clone()).or_default();
        (sum.0, sum.1) = (sum.0 + entry.amount_minor, sum.1 + entry.charged_minor);
    }
    sums
}

#[test]
fn a_price_on_submit_is_owed_once_the_message_was_handed_over() {
    let cases = [
        ("", (4, 0)),
        ("1m accepted first", (4, 4)),
        ("1m delivered first", (4, 4)),
        ("1m accepted first\n 1m again\n 2m sent first\n 3m delivered first", (4, 4)),
        ("1m accepted first\n 2m bounced first", (4, 4)),
        ("1m accepted first\n 2m failed first", (4, 4)),
        ("1m accepted first\n 2m refused first", (4, 4)),
        ("1m refused first", (0, 0)),
        ("1m expired first", (0, 0)),
        ("1m revoked first", (0, 0)),
        ("1m bounced first", (0, 0)),
        ("1m failed first", (4, 4)),
        ("1m unknown first", (4, 0)),
        ("1m unknown first\n 2m sent first", (4, 4)),
        ("1m unknown first\n 2m bounced first", (4, 4)),
        ("1m unknown first\n 2m refused first", (0, 0)),
        // The worker's word of the hand-over came after the provider's.
        ("1m bounced first\n 2m accepted first\n 3m sent first", (4, 4)),
        ("1m refused first\n 2m accepted first\n 2m again", (4, 4)),
        ("1m expired first\n 2m accepted first", (4, 4)),
        // Nobody answers, and then somebody does.
        ("7h time passes", (4, 0)),
        ("7h accepted first", (4, 4)),
        ("20h expired first", (0, 0)),
        // The cascade ended: what was withdrawn is given back, unless it went out all the same.
        ("1m does purchase", (0, 0)),
        ("1m does purchase\n 2m revoked first\n 3m accepted first", (0, 0)),
        ("1m does purchase\n 2m accepted first\n 2m again\n 3m delivered first", (4, 4)),
        ("1m unknown first\n 2m does purchase", (4, 0)),
        ("1m does purchase\n 2m unknown first", (4, 0)),
        ("1m does purchase\n 2m deferred first", (0, 0)),
        ("1m does purchase\n 2m unknown first\n 3m bounced first", (4, 4)),
        ("1m unknown first\n 2m does purchase\n 3m delivered first\n 4m failed first", (4, 4)),
        // A hold withdraws it, too.
        ("1m unreadable", (0, 0)),
        ("1m unreadable\n 2m revoked first", (0, 0)),
        ("1m unreadable\n 2m accepted first", (4, 4)),
        ("1m unreadable\n 2m does purchase", (0, 0)),
    ];
    for (words, wanted) in cases {
        assert_eq!(owed(ON_SUBMIT, words), wanted, "{words}");
    }
}

#[test]
fn a_price_on_delivery_is_owed_once_the_message_has_arrived() {
    let cases = [
        ("", (4, 0)),
        ("1m accepted first\n 2m sent first", (4, 0)),
        ("1m accepted first\n 2m delivered first\n 2m again", (4, 4)),
        ("1m clicked first", (4, 4)),
        ("1m delivered first\n 2m failed first", (4, 4)),
        ("1m accepted first\n 2m failed first", (0, 0)),
        ("1m accepted first\n 2m failed first\n 3m delivered first", (4, 4)),
        ("1m accepted first\n 2m bounced first", (0, 0)),
        ("1m accepted first\n 2m deferred first", (4, 0)),
        ("1m accepted first\n 2m deferred first\n 20h failed first", (0, 0)),
        ("1m refused first", (0, 0)),
        ("1m unknown first", (4, 0)),
        // The wait is over, and the receipt comes all the same.
        ("1m accepted first\n 5h time passes", (4, 0)),
        ("1m accepted first\n 5h delivered first", (4, 4)),
        ("1m accepted first\n 5h failed first", (0, 0)),
        // The cascade ended.
        ("1m accepted first\n 2m does purchase", (4, 0)),
        ("1m accepted first\n 2m does purchase\n 3m delivered first\n 3m again\n 4m opened first", (4, 4)),
        ("1m accepted first\n 2m does purchase\n 3m failed first\n 4m delivered first", (0, 0)),
        ("1m does purchase\n 2m accepted first", (4, 0)),
        ("1m does purchase\n 2m accepted first\n 3m delivered first", (4, 4)),
    ];
    for (words, wanted) in cases {
        assert_eq!(owed(ON_DELIVERY, words), wanted, "{words}");
    }
}

#[test]
fn each_segment_costs_the_price_and_only_of_an_sms() {
    let long = SMS_FIRST.replace("channel: sms, template: t,", "any: [viber, sms], template: t, segments: 3,");
    for (channels, wanted) in [("sms", 12), ("viber", 2), ("viber sms", 2)] {
        let mut world = World::new(&[&long]);
        for line in [format!("0 has {channels}"), "0 does lead".to_owned()] {
            play(&mut world, &line);
        }
        assert_eq!(world.sends()[0].price_minor, wanted, "{channels}");
        // The worker refuses what is longer than that.
        assert_eq!(world.sends()[0].segments, if channels == "sms" { 3 } else { 0 }, "{channels}");
    }
    // Without a price nothing is reserved, so nothing bounds it.
    let mut world = World::new(&[&long]);
    world.apply(CampaignKind::Prices, "currency: USD\nprices: [{channel: viber, minor: 2}]\n");
    ["0 has sms", "0 does lead"].iter().for_each(|line| play(&mut world, line));
    assert_eq!((world.sends()[0].price_minor, world.sends()[0].segments), (0, 0));
    let mistake = |steps: &str| {
        let text = SMS_FIRST.replace("channel: sms, template: t,", steps);
        campaign::parse("c.yaml", &text).unwrap_err()[0].message.clone()
    };
    assert_eq!(mistake("channel: sms, template: t, segments: 11,"), "no SMS has so many segments");
    assert_eq!(mistake("channel: sms, template: t, segments: 0,"), "no SMS has so many segments");
    assert_eq!(mistake("channel: email, template: t, segments: 2,"), "only an SMS has segments");
}

#[test]
fn the_price_is_that_of_the_number_at_the_moment_and_the_journal_knows_no_number() {
    const TABLE: &str = "currency: USD
prices:
  - {channel: sms, minor: 9}
  - {channel: sms, prefix: '+7', minor: 4}
  - {channel: sms, prefix: '+7912', minor: 3}
  - {channel: sms, prefix: '+7912', minor: 5, from: 2023-11-15}
";
    let price = |number: &str, later: i64| {
        let mut world = World::new(&[SMS_FIRST]);
        world.apply(CampaignKind::Prices, TABLE);
        world.has(&["sms"]);
        let contacts = vec![Contact { channel: "sms".into(), address: number.into() }];
        let consents = world.customer.consents.clone();
        world.happens(Fact::Profile(Profile { contacts, consents, ..Profile::default() }));
        world.pass_until(BEGIN + later);
        world.action("lead", None);
        assert!(world.journal().iter().all(|entry| !format!("{entry:?}").contains("12345")));
        world.sends()[0].price_minor
    };
    // The world begins on 2023-11-14 at 22:13:20 in UTC.
    assert_eq!(price("+79121234567", 0), 3);
    assert_eq!(price("+79121234567", DAY), 5);
    assert_eq!(price("+79131234567", DAY), 4);
    assert_eq!(price("+49131234567", DAY), 9);
}

/// The channels of an order, as messages go out of which nobody hears anything.
fn tried(order: &str, stop: &str, prices: &str, rates: &str) -> Vec<String> {
    const CHANNELS: [&str; 4] = ["sms", "viber", "email", "push"];
    let steps =
        CHANNELS.map(|it| format!("  - {{name: {it}, channel: {it}, template: t, wait: 1h, next_if: [no goal]}}\n"));
    let head = "campaign: c\nversion: 1\ntrigger: {on: action, action: lead}\ngoal: {action: purchase}\n";
    let mut world = World::new(&[&format!("{head}stop: {stop}\norder: {order}\nsteps:\n{}", steps.concat())]);
    world.apply(CampaignKind::Prices, &format!("currency: USD\nprices: [{prices}]\n"));
    world.apply(CampaignKind::Rates, &format!("rates: [{rates}]\n"));
    world.profile(&CHANNELS);
    world.action("lead", None);
    world.pass_until(BEGIN + DAY);
    world.sends().iter().map(|send| send.channel.clone()).collect()
}

#[test]
fn an_order_follows_from_prices_and_rates() {
    const PRICES: &str = "{channel: sms, minor: 4}, {channel: viber, minor: 2}, {channel: email, minor: 1}";
    let sms = "{channel: sms, delivered: 950, clicked: 30}";
    let viber = "{channel: viber, delivered: 400, opened: 300, clicked: 45}";
    let email = "{channel: email, delivered: 970, opened: 210, clicked: 5}";
    let push = "{channel: push, delivered: 600, clicked: 40}";
    let all = [sms, viber, email, push].join(", ");
    let cases = [
        ("as written", "delivered", all.clone(), "sms viber email push"),
        ("by cost", "delivered", all.clone(), "push email viber sms"),
        // For each who is reached: push 0, email 1.03, sms 4.2, viber 5.
        ("by expected cost", "delivered", all.clone(), "push email sms viber"),
        // Push 0, email 4.8, viber 6.7; nobody sees whether an SMS is opened.
        ("by expected cost", "opened", all.clone(), "push email viber sms"),
        // Push 0, viber 44, sms 133, email 200: clicks stand for what is hoped for.
        ("by expected cost", "goal", all.clone(), "push viber sms email"),
        ("by expected cost", "replied", all.clone(), "push viber sms email"),
        // Viber as sms: what costs less.
        ("by expected cost", "delivered", format!("{sms}, {{channel: viber, delivered: 475}}"), "push viber sms email"),
        ("by expected cost", "delivered", "{channel: viber, delivered: 1}".to_owned(), "push viber email sms"),
        ("by response", "delivered", all.clone(), "email sms push viber"),
        ("by response", "opened", all.clone(), "viber email sms push"),
        ("by response", "clicked", all, "viber push sms email"),
        // What was counted later holds from its day on: the world begins on the 14th of November 2023.
        (
            "by response",
            "goal",
            format!("{push}, {{channel: sms, clicked: 50, from: 2023-11-14T22:00Z}}"),
            "sms push viber email",
        ),
        (
            "by response",
            "goal",
            format!("{push}, {{channel: sms, clicked: 50, from: 2024-01-01}}"),
            "push sms viber email",
        ),
        (
            "by response",
            "goal",
            format!("{push}, {sms}, {{channel: sms, clicked: 50, from: 2023-11-14}}"),
            "sms push viber email",
        ),
        ("by response", "goal", "{channel: push, clicked: 1}".to_owned(), "push sms viber email"),
        ("by response", "goal", String::new(), "sms viber email push"),
    ];
    for (order, stop, rates, wanted) in cases {
        // A level that some channel never tells of is no stop level for it; what leads on is the goal alone.
        assert_eq!(tried(order, stop, PRICES, &rates).join(" "), wanted, "{order}, {stop}, {rates}");
    }
}

#[test]
fn after_an_outage_nothing_dearer_follows_whatever_the_order() {
    for order in ["as written", "by cost", "by expected cost", "by response", "by preference"] {
        let definition = format!(
            "campaign: c
version: 1
trigger: {{on: action, action: lead}}
order: {order}
steps:
  - {{name: first, channel: viber, template: t, wait: 1h}}
  - {{name: second, channel: sms, template: t, segments: 2, wait: 1h}}
  - {{name: third, channel: whatsapp, template: t, wait: 1h}}
"
        );
        let mut world = World::new(&[&definition]);
        // Viber costs 2, WhatsApp 3, and an SMS of two segments 8.
        world.apply(CampaignKind::Rates, "rates: [{channel: viber, delivered: 999}]");
        let happens = "0 worker off\n 0 has viber sms whatsapp\n 0 does lead\n 1m expired first\n 1d time passes";
        check(world, happens, "0 ENTERED\n 0 send first by viber\n 1m EXPIRED first viber\n 1m EXHAUSTED");
    }
}

#[test]
fn who_is_held_out_costs_nothing_and_what_was_spared_counts_segments() {
    let head = "experiment: {hold_out: 99}\nsteps:";
    let definition = SMS_FIRST
        .replace("steps:", head)
        .replace("channel: sms, template: t,", "channel: sms, template: t, segments: 2,");
    let mut world = World::new(&[&definition]);
    for line in ["0 has sms", "0 does lead"] {
        play(&mut world, line);
    }
    let spared = world.journal().into_iter().find(|entry| entry.reason == Reason::HeldOut).unwrap();
    assert_eq!(spared.evidence["spared_minor"], "8", "{:?}", told(&world));
    assert_eq!((spared.amount_minor, spared.charged_minor), (0, 0));
}

proptest! {
    #![proptest_config(world::cases(4_000))]

    /// Whatever is said, and however often: of each price all is given back or owed, or it is still open; never more than was reserved.
    #[test]
    fn a_price_is_owed_once_or_given_back(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        // After an erasure nobody knows any more what was sent.
        let events: Vec<Event> = events.into_iter().filter(|event| !matches!(event, Event::Erased)).collect();
        live(&mut world, &events, |decision| {
            for instance in &decision.world.customer.instances {
                agrees(decision.world, instance);
            }
        });
        while world.fire_next(BEGIN + 5000 * DAY) {}
        let priced: BTreeMap<&str, i64> = world.sends().iter().map(|send| (send.send_id.as_str(), send.price_minor)).collect();
        for (id, (held, owed)) in sums(world.journal().into_iter()) {
            let price = priced.get(id.as_str()).copied().unwrap_or(0);
            assert!((held, owed) == (0, 0) || (held == price && (owed == 0 || owed == price)), "{id} for {price}: {held} held, {owed} owed");
        }
    }
}

/// What the journal says of a running cascade's messages is what its row says.
fn agrees(world: &World, instance: &schemas::Instance) {
    let sums = sums(world.journal().into_iter());
    for sent in &instance.sends {
        let (held, owed) = sums.get(&sent.id.to_string()).copied().unwrap_or_default();
        assert!(held == sent.price_minor || held == 0, "{sent:?} holds {held}");
        let arrived = sent.reached >= schemas::Status::Delivered;
        let taken = sent.reached > schemas::Status::Unspecified;
        if arrived || (taken && !sent.on_delivery) {
            assert_eq!((held, owed), (sent.price_minor, sent.price_minor), "{sent:?}");
        }
    }
}
