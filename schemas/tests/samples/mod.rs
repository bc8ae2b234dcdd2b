//! One written-out value of every record: the readable twin of `golden/v1/*.bin`. Never changed: what was released stays.

use std::fmt::Debug;

use schemas::*;

/// Something that is done with each sample.
pub trait Visitor {
    fn visit<T: Record + PartialEq + Debug>(&mut self, name: &str, record: T);
}

/// All samples, in the order of the records; `input` once for each kind of fact.
pub fn each(visitor: &mut impl Visitor) {
    visitor.visit("cart", cart());
    visitor.visit("registration", registration());
    visitor.visit("inactivity", inactivity());
    visitor.visit("action", action());
    visitor.visit("profile", profile());
    visitor.visit("feedback", feedback());
    visitor.visit("input-cart", input(Fact::Cart(cart())));
    visitor.visit("input-registration", input(Fact::Registration(registration())));
    visitor.visit("input-inactivity", input(Fact::Inactivity(inactivity())));
    visitor.visit("input-action", input(Fact::Action(action())));
    visitor.visit("input-profile", input(Fact::Profile(profile())));
    visitor.visit("input-feedback", input(Fact::Feedback(feedback())));
    visitor.visit("input-unreadable", input(Fact::Unreadable(Unreadable { code: "bad_datum".into() })));
    visitor.visit("input-release", input(Fact::Release(release())));
    visitor.visit("input-progress", input(Fact::Progress(progress())));
    visitor.visit("input-merged", input(Fact::Merged(Merged { into: "customer-2".into() })));
    visitor.visit("input-adopted", input(Fact::Adopted(adopted())));
    visitor.visit("input-demand", input(Fact::Demand(demand())));
    visitor.visit("input-grant", input(Fact::Grant(grant())));
    visitor
        .visit("input-refusal", input(Fact::Refusal(Refusal { send_id: grant().send_id, until: NOON, again: true })));
    visitor.visit("input-refund", input(Fact::Refund(Refund { minor: 450, number: 78 })));
    visitor.visit("input-holder", input(Fact::Holder(Holder { customer_id: "customer-1".into(), holds: true })));
    visitor.visit("input-hearsay", input(Fact::Hearsay(hearsay())));
    visitor.visit("row", row());
    visitor.visit("budget", budget());
    visitor.visit("address", address());
    visitor.visit("send", send());
    visitor.visit("revoke", revoke());
    visitor.visit("attempt", attempt());
    visitor.visit("reply", reply());
    visitor.visit("suppression", Suppression { since: NOON });
    visitor.visit("journal", journal());
    visitor.visit("campaign", campaign());
}

/// 2026-03-01T10:00:00Z.
const NOON: Millis = 1_772_359_200_000;

fn map<M: FromIterator<(String, String)>>(pairs: &[(&str, &str)]) -> M {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn instance_id() -> Id {
    Id::of_instance("customer-1", "abandoned-cart", "cart-7", "event-1")
}

pub fn cart() -> Cart {
    Cart {
        event_id: "event-1".into(),
        customer_id: "customer-1".into(),
        occurred_at: NOON,
        cart_id: "cart-7".into(),
        version: 3,
        total_minor: 12_990,
        currency: "EUR".into(),
        items: vec![
            Item { sku: "tea-250".into(), category: "tea".into(), quantity: 2, price_minor: 4_500 },
            Item { sku: "кружка".into(), category: String::new(), quantity: 1, price_minor: 3_990 },
        ],
        link: Some("https://shop.example/cart/7".into()),
    }
}

fn registration() -> Registration {
    Registration {
        event_id: "event-2".into(),
        customer_id: "customer-1".into(),
        occurred_at: NOON + 1,
        source: "web".into(),
        attributes: map(&[("first_name", "Ada"), ("segment", "new")]),
    }
}

fn inactivity() -> Inactivity {
    Inactivity {
        event_id: "event-3".into(),
        customer_id: "customer-1".into(),
        occurred_at: NOON,
        since: NOON - 30 * 86_400_000,
        days: 30,
        attributes: map(&[("last", "visit")]),
    }
}

fn action() -> Action {
    Action {
        event_id: "event-4".into(),
        customer_id: "customer-1".into(),
        occurred_at: NOON + 60_000,
        action: "purchase".into(),
        key: Some("cart-7".into()),
        amount_minor: 12_990,
        currency: "EUR".into(),
        items: vec![Item { sku: "tea-250".into(), category: "tea".into(), quantity: 2, price_minor: 4_500 }],
        attributes: map(&[]),
    }
}

fn contacts() -> Vec<Contact> {
    vec![
        Contact { channel: "email".into(), address: "ada@shop.example".into() },
        Contact { channel: "sms".into(), address: "+10005550100".into() },
    ]
}

fn consents() -> Vec<Consent> {
    vec![Consent {
        channel: "email".into(),
        granted: true,
        at: NOON - 1_000,
        source: "checkout".into(),
        text_version: "2026-01".into(),
    }]
}

fn profile() -> Profile {
    Profile {
        event_id: "event-5".into(),
        customer_id: "customer-1".into(),
        occurred_at: NOON,
        contacts: contacts(),
        consents: consents(),
        time_zone: Some("America/New_York".into()),
        locale: None,
        attributes: map(&[("first_name", "Ada")]),
        erased: false,
        formerly: vec!["visitor-9".into()],
    }
}

fn feedback() -> Feedback {
    Feedback {
        event_id: "receipt-1".into(),
        customer_id: "customer-1".into(),
        occurred_at: NOON + 5_000,
        send_id: Some(Id::of_send(instance_id(), 0, 0, 0).to_string()),
        channel: "email".into(),
        status: Status::BouncedHard,
        actor: Actor::Machine,
        provider: "smtp".into(),
        provider_id: Some("m-1".into()),
        code: Some("5.1.1".into()),
        outcome: Outcome::WrongNumber,
    }
}

fn input(fact: Fact) -> Input {
    Input {
        origin: Origin { topic: "cart".into(), partition: 5, offset: 1_234_567, appended_at: NOON + 3 },
        fact,
        hops: 2,
    }
}

fn release() -> Release {
    Release {
        event_id: "release-1".into(),
        customer_id: "customer-1".into(),
        occurred_at: NOON,
        note: "looked at it".into(),
    }
}

fn progress() -> Progress {
    Progress { topic: "action".into(), partition: 2, offset: 99, until: NOON }
}

fn adopted() -> Adopted {
    Adopted { from: "visitor-9".into(), row: schemas::encode(&Customer::default()), number: 77 }
}

fn demand() -> Demand {
    let send_id = Id::of_send(instance_id(), 1, 0, 0);
    Demand { customer_id: "customer-1".into(), send_id, version: 2, minor: 450 }
}

fn grant() -> Grant {
    Grant { campaign: "abandoned-cart".into(), send_id: Id::of_send(instance_id(), 1, 0, 0), minor: 450, number: 78 }
}

fn hearsay() -> Hearsay {
    let address = Id::of_address("email", "ada@example.org");
    Hearsay { address, from: "customer-1".into(), status: Status::Complained, occurred_at: NOON }
}

fn address() -> Address {
    Address { owners: vec!["customer-1".into(), "customer-2".into()], opted_out_at: Some(NOON) }
}

fn budget() -> Budget {
    Budget { since: NOON, until: NOON + 3_600_000, granted: 99_550, first: 70, returned: vec![78] }
}

pub fn row() -> Customer {
    let instance = instance_id();
    Customer {
        contacts: contacts(),
        consents: consents(),
        time_zone: Some("Europe/Berlin".into()),
        locale: Some("de-DE".into()),
        attributes: map(&[("first_name", "Ada")]),
        profile_at: Some(NOON),
        addresses_know: true,
        held: Some(Hold { since: NOON, code: "bad_datum".into() }),
        instances: vec![running(instance)],
        past: vec![Past {
            campaign: "welcome".into(),
            key: String::new(),
            ended_at: NOON - 86_400_000,
            reason: Reason::GoalReached,
            sends: vec![Id::of_send(instance, 9, 0, 0), Id::of_send(instance, 9, 1, 0)],
            revision: 4,
        }],
        unsettled: vec![Unsettled {
            id: Id::of_send(instance, 9, 1, 0),
            campaign: "cart-left".into(),
            price_minor: 4,
            on_delivery: true,
            handed_over: true,
            reached: Status::Sent,
            failed: Status::BouncedSoft,
        }],
        heard: vec![Heard { channel: "email".into(), at: NOON - 20, unanswered_since: NOON - 10 }],
        counted: vec![Counted {
            id: Id::of_send(instance, 9, 1, 0),
            channel: "push".into(),
            class: Class::Marketing,
            at: NOON - 30,
        }],
        begun: vec![Begun { campaign: "welcome".into(), times: 3 }],
        passed: vec![Passed { cart_id: "cart-7".into(), version: 4 }],
        done: vec![Done { action: "visit".into(), key: None, occurred_at: NOON - 10 }],
        recent: vec![1, 0, (1 << 48) - 1],
        dead: vec![7],
        formerly: vec![Former { customer_id: "visitor-9".into(), adopted: Some(77) }],
        moved_to: Some("customer-2".into()),
    }
}

fn running(id: Id) -> Instance {
    Instance {
        id,
        campaign: "abandoned-cart".into(),
        version: 2,
        key: "cart-7".into(),
        stage: Stage::Waiting,
        step: 1,
        alternative: 1,
        due: NOON + 3_600_000,
        fields: map(&[("cart_id", "cart-7"), ("occurred_at", "1700000000000"), ("total_minor", "12990")]),
        sends: vec![Sent {
            id: Id::of_send(id, 0, 0, 0),
            step: 1,
            number: 0,
            alternative: 0,
            attempt: 0,
            channel: "push".into(),
            price_minor: 3,
            on_delivery: true,
            decided_at: NOON,
            send_before: NOON + 900_000,
            handed_over_at: Some(NOON + 2_000),
            reached: Status::Accepted,
            failed: Status::BouncedSoft,
            outcome: Outcome::Busy,
        }],
        settled_at: NOON + 1_800_000,
        tried: 0b101,
        ceiling: Some(0),
        turn: 6,
        variant: Some("b".into()),
        held_out: true,
        changes: 2,
        frozen_at: Some(NOON + 60_000),
        skip_until: Some(NOON - 60_000),
        queued: Some(Queued {
            id: "event-9".into(),
            occurred_at: NOON + 1_000,
            at: NOON + 2_000,
            fields: map(&[("cart_id", "cart-7")]),
        }),
        given_up: vec!["greeting".into()],
        adoption: Some(Adoption { customer_id: "visitor-9".into(), sends: 1, at: NOON - 5 }),
        asked_at: Some(NOON + 4),
    }
}

fn send() -> Send {
    let instance = instance_id();
    Send {
        send_id: Id::of_send(instance, 1, 0, 0).to_string(),
        customer_id: "customer-1".into(),
        campaign: "abandoned-cart".into(),
        version: 2,
        instance: instance.to_string(),
        step: "remind".into(),
        attempt: 0,
        channel: "email".into(),
        class: Class::Marketing,
        address: "ada@shop.example".into(),
        template: "cart-reminder".into(),
        locale: Some("en".into()),
        fields: map(&[("first_name", "Ada"), ("total_minor", "12990")]),
        decided_at: NOON,
        send_before: NOON + 900_000,
        valid_until: NOON + 1_800_000,
        price_minor: 1,
        currency: "EUR".into(),
        segments: 2,
        caused_at: NOON + 3,
    }
}

fn revoke() -> Revoke {
    Revoke {
        send_id: Id::of_send(instance_id(), 1, 0, 0).to_string(),
        customer_id: "customer-1".into(),
        channel: "email".into(),
        revoked_at: NOON + 61_000,
        reason: Reason::GoalReached,
    }
}

fn attempt() -> Attempt {
    Attempt {
        send_id: Id::of_send(instance_id(), 1, 0, 0).to_string(),
        customer_id: "customer-1".into(),
        state: AttemptState::Settled,
        offset: 42,
        at: NOON + 62_000,
        status: Status::Accepted,
        provider_id: Some("m-2".into()),
        content: Some("3f2a9c0d11e8b765".into()),
        to: Some("kS9bJ2mWv0a1XzT4Qp_c7g".into()),
    }
}

fn reply() -> Reply {
    Reply {
        event_id: Id::of_reply("customer-1", "email", "provider-1", Some(NOON), "Заберу завтра.").to_string(),
        customer_id: "customer-1".into(),
        channel: "email".into(),
        provider: "provider-1".into(),
        send_id: Some(Id::of_send(instance_id(), 1, 0, 0).to_string()),
        text: "Заберу завтра.".into(),
        occurred_at: NOON,
    }
}

fn journal() -> Journal {
    Journal {
        customer_id: "customer-1".into(),
        at: NOON,
        partition: 3,
        offset: Some(77),
        due: None,
        campaign: "abandoned-cart".into(),
        version: 2,
        instance: instance_id().to_string(),
        step: "remind".into(),
        channel: "email".into(),
        send_id: Id::of_send(instance_id(), 1, 0, 0).to_string(),
        reason: Reason::HoldReleased,
        next_at: Some(NOON + 3_600_000),
        amount_minor: -450,
        charged_minor: 450,
        evidence: map(&[("email", "consent"), ("zone", "Europe/Berlin")]),
    }
}

fn campaign() -> Campaign {
    Campaign {
        campaign: "abandoned-cart".into(),
        version: 2,
        kind: CampaignKind::Prices,
        definition: "name: abandoned-cart\n".into(),
        applied_at: NOON,
        on_resume: OnResume::Skip,
        from_version: 1,
        steps: map(&[("remind", "reminder")]),
    }
}
