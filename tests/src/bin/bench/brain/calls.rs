//! The kinds of calls whose cost is measured.

use std::rc::Rc;

use campaign::Plans;
use schemas::{Campaign, CampaignKind, Fact, Status};

use super::life::Life;

/// A decision that can be taken again and again from the same row.
pub struct Call {
    pub name: &'static str,
    pub life: Life,
    /// The record that causes it; none for a deadline.
    pub record: Option<schemas::Input>,
}

/// Every kind of call, in the order of a customer's life.
pub fn all() -> Vec<Call> {
    let known = Life::begin(few());
    let greeted = known.clone().registered();
    let waiting = greeted.clone().handed_over();
    let left = known.clone().left_a_cart();
    let mut calls = vec![
        told("an event that concerns no campaign", &known, |life| life.action("visit")),
        told("the same while a cascade runs", &waiting, |life| life.action("visit")),
        told("an event that begins a cascade, which sends", &known, Life::registration),
        Call { name: "a repeat", record: Some(known.record(known.registration())), life: repeated(&known) },
        told("a receipt: handed over", &greeted, |life| life.feedback(Status::Accepted)),
        told("a receipt: delivered", &waiting, |life| life.feedback(Status::Delivered)),
        told("a goal that ends a cascade", &waiting, |life| life.action("purchase")),
        Call { name: "a deadline that sends", life: waiting.until_due(), record: None },
        told("a cart whose condition does not hold", &known, |life| life.cart(990)),
        told("a cart whose condition holds, which settles", &known, |life| life.cart(4_990)),
        told("the same cart again, changed", &left, |life| life.cart(5_990)),
    ];
    for (name, campaigns) in [
        ("an event that begins one of 1 campaigns", 1),
        ("an event that begins one of 50 campaigns", 50),
        ("an event that begins one of 500 campaigns", 500),
    ] {
        let life = Life::begin(leads(campaigns));
        calls.push(told(name, &life, |life| life.action("lead-0")));
        calls.push(told("the same campaigns, an event that concerns none", &life, |life| life.action("visit")));
    }
    // As many as a customer may have, and less.
    for (name, cascades) in [
        ("a visit while 1 cascade runs", 1),
        ("a visit while 5 cascades run", 5),
        ("a visit while 16 cascades run", 16),
    ] {
        let mut life = Life::begin(leads(cascades));
        (0..cascades).for_each(|number| life.tell(&life.action(&format!("lead-{number}"))));
        calls.push(told(name, &life, |life| life.action("visit")));
        calls.push(told("the same, a receipt", &life, |life| life.feedback(Status::Accepted)));
    }
    calls
}

fn told(name: &'static str, life: &Life, fact: impl Fn(&Life) -> Fact) -> Call {
    Call { name, life: life.clone(), record: Some(life.record(fact(life))) }
}

/// After this customer's registration was heard.
fn repeated(known: &Life) -> Life {
    known.clone().registered()
}

/// A greeting, and a word about a cart that was left.
pub fn few() -> Rc<Plans> {
    plans(&[
        "campaign: welcome\nversion: 1\ntrigger: {on: registration}\ngoal: {action: purchase}\nstop: goal\nsteps:\n\
         \x20 - {name: push, channel: push, template: welcome, wait: 1d, next_if: [no goal, not delivered, cannot send]}\n\
         \x20 - {name: rest, any: [email, sms], template: welcome, wait: 1d}\n"
            .to_owned(),
        "campaign: cart\nversion: 1\n\
         trigger: {on: cart, where: \"total_minor >= 3000 && currency == 'USD' && items.exists(i, i.price_minor > 500)\", \
         key: cart_id, settle: 1h, again: refresh}\n\
         goal: {action: purchase}\nstop: opened\nsteps:\n\
         \x20 - {name: email, channel: email, template: cart, wait: 1d}\n"
            .to_owned(),
    ])
}

/// Campaigns that differ in the action to which each answers.
fn leads(count: usize) -> Rc<Plans> {
    let campaign = |number: usize| {
        format!(
            "campaign: lead-{number}\nversion: 1\ntrigger: {{on: action, action: lead-{number}}}\n\
             goal: {{action: purchase}}\nstop: delivered\nsteps:\n\
             \x20 - {{name: push, channel: push, template: lead, wait: 1d, next_if: [not delivered, cannot send]}}\n\
             \x20 - {{name: sms, channel: sms, template: lead, wait: 1d}}\n"
        )
    };
    plans(&(0..count).map(campaign).collect::<Vec<_>>())
}

fn plans(definitions: &[String]) -> Rc<Plans> {
    let mut plans = Plans::default();
    for definition in definitions {
        let plan = campaign::parse("bench", definition).expect("it is a campaign");
        let record = Campaign {
            kind: CampaignKind::Definition,
            campaign: plan.name,
            version: plan.version,
            definition: definition.clone(),
            ..Campaign::default()
        };
        plans.apply(&record).expect("it is a campaign");
    }
    Rc::new(plans)
}
