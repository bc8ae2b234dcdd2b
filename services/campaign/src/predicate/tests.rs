//! Conditions, each with what it comes to.

use proptest::prelude::*;
use schemas::{Cart, Consent, Contact, Customer, Done, Heard, Item, Past, Registration, Sent, Status};

use crate::language::TriggerKind;

use super::{Event, Scope, Today, Type, Vocabulary, compile};

fn cart() -> Cart {
    let item = |sku: &str, category: &str, quantity| Item {
        sku: sku.into(),
        category: category.into(),
        quantity,
        price_minor: 500,
    };
    Cart {
        cart_id: "c1".into(),
        version: 3,
        total_minor: 1500,
        currency: "USD".into(),
        items: vec![item("A1", "toys", 1), item("B2", "books", 2)],
        ..Cart::default()
    }
}

/// Noon of the first of June 2026.
const TODAY: Today<'static> = Today { now: 1_780_315_200_000, zone: &jiff::tz::TimeZone::UTC };

fn customer() -> Customer {
    Customer {
        contacts: vec![Contact { channel: "telegram".into(), address: "1".into() }],
        consents: vec![Consent { channel: "email".into(), granted: true, ..Consent::default() }],
        attributes: [("city".to_owned(), "Omsk".to_owned()), ("age".to_owned(), "41".to_owned())].into(),
        locale: Some("ru-RU".into()),
        ..Customer::default()
    }
}

fn holds(text: &str) -> bool {
    let predicate = compile(text, &Vocabulary::of_trigger(TriggerKind::Cart), &[Type::Bool])
        .unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
    predicate.holds(&Scope::of_event(Event::Cart(&cart()), &customer(), TODAY))
}

fn fault(text: &str) -> String {
    let faults = compile(text, &Vocabulary::of_trigger(TriggerKind::Cart), &[Type::Bool]).unwrap_err();
    format!("{} / {}", faults[0].message, faults[0].hint)
}

#[test]
fn what_is_true() {
    for text in [
        "total_minor >= 1500",
        "total_minor > 1499 && total_minor < 1501",
        "total_minor == 3 * 500 && total_minor != 1500 + 1",
        "total_minor / 2 == 750 && total_minor % 1000 == 500 && -total_minor < 0",
        "currency in ['EUR', 'USD']",
        "!(currency in ['EUR'])",
        "size(items) == 2 && items.size() == 2",
        "items.exists(i, i.category == 'toys' && i.quantity < 2)",
        "items.all(i, i.price_minor == 500)",
        "cart_id.startsWith('c') && cart_id.endsWith('1') && currency.contains('S')",
        "profile.attributes.city == 'Omsk'",
        "profile.attributes['city'] == 'Omsk'",
        "has(profile.attributes.city) && !has(profile.attributes.street)",
        "profile.attributes.street != 'Main'",
        "int(profile.attributes.age) > 40",
        "profile.locale == 'ru-RU'",
        "has(profile.locale) && !has(profile.time_zone)",
        "has_contact('telegram') && !has_contact('email')",
        "has_consent('email') && !has_consent('sms')",
        "true ? total_minor > 0 : false",
        "size('абв') == 3",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn what_is_undefined_does_not_hold_and_neither_does_its_opposite() {
    for text in [
        "link == 'x'",
        "!(link == 'x')",
        "'y' in ['x', link]",
        "!('y' in ['x', link])",
        "int(profile.attributes.city) > 0",
        "total_minor / 0 == 1",
        "9223372036854775807 + total_minor > 0",
    ] {
        assert!(!holds(text), "{text}");
    }
    assert!(holds("'y' in [link, 'y']"), "one that is equal decides");
    assert!(holds("link == 'x' || total_minor > 0"), "one true side decides");
    assert!(holds("!(link == 'x' && total_minor < 0)"), "one false side decides");
}

#[test]
fn what_is_refused_says_what_to_write() {
    for (text, wanted) in [
        ("totl > 1", "`totl` is not known here / it can be `occurred_at`"),
        (
            "total_minor > 1.5",
            "fractions are refused: they do not add up / write whole numbers; money is in minor units",
        ),
        ("total_minor > 'a'", "this is a text, but a whole number is needed / compare it with something"),
        ("has(profile.locale) == 'ru'", "this is a text, but true or false is needed"),
        ("has_contact('emial')", "`emial` is no channel / did you mean `email`?"),
        ("profile.locl == 'x'", "a profile has no `locl` / did you mean `locale`?"),
        ("items.exists(i, i.skuu == 'x')", "an item has no `skuu` / did you mean `sku`?"),
        (
            "items.map(i, i.sku) == 1",
            "only `exists` and `all` are known here / for example `items.exists(i, i.sku == 'A1')`",
        ),
        ("matches(cart_id, 'x')", "the function `matches` is not known here / it can be `has`"),
        ("now() > 1", "the function `now` is not known here / it can be `has`"),
        ("attributes.x == 'y'", "this has no fields / fields stand after `profile`, `attributes` or an item"),
        (
            "total_minor >",
            "this is not an expression / for example `total_minor >= 100000 && profile.attributes.city == 'Omsk'`",
        ),
        ("", "this is not an expression"),
    ] {
        let found = fault(text);
        assert!(found.starts_with(wanted), "{text}\n{found}");
    }
}

/// Bytes are the parser's, letters are the reader's.
#[test]
fn the_place_of_a_fault_is_counted_in_letters() {
    let text = "profile.attributes.city == 'Омск' && totl_minor > 5";
    let faults = compile(text, &Vocabulary::of_trigger(TriggerKind::Cart), &[Type::Bool]).unwrap_err();
    let found: String = text.chars().skip(faults[0].start).take(faults[0].width).collect();
    assert_eq!(found, "totl_minor");
}

/// It is two in the morning of the second of June on Kiritimati.
#[test]
fn days_are_counted_on_the_customers_calendar_but_for_everybody_alike_in_a_sweep() {
    let customer = Customer {
        time_zone: Some("Pacific/Kiritimati".into()),
        attributes: [("day".to_owned(), "2026-06-04".to_owned())].into(),
        ..Customer::default()
    };
    let cart = cart();
    let days = |event, text: &str| {
        let predicate = compile(text, &Vocabulary::of_trigger(TriggerKind::Schedule), &[Type::Bool]).unwrap();
        predicate.holds(&Scope::of_event(event, &customer, TODAY))
    };
    for function in ["days_until", "days_to_anniversary"] {
        let text = format!("{function}(profile.attributes.day)");
        assert!(days(Event::Cart(&cart), &format!("{text} == 2")), "{text}");
        assert!(days(Event::Moment(TODAY.now), &format!("{text} == 3")), "{text}");
    }
}

#[test]
fn a_leap_day_comes_every_year_and_in_a_common_one_a_day_sooner() {
    let customer =
        Customer { attributes: [("born".to_owned(), "2000-02-29".to_owned())].into(), ..Customer::default() };
    let text = "days_to_anniversary(profile.attributes.born) == 0";
    let predicate = compile(text, &Vocabulary::of_trigger(TriggerKind::Schedule), &[Type::Bool]).unwrap();
    for (moment, is_birthday) in [
        ("2027-02-27T12:00Z", false),
        ("2027-02-28T12:00Z", true),
        ("2027-03-01T12:00Z", false),
        ("2028-02-28T12:00Z", false),
        ("2028-02-29T12:00Z", true),
        ("2028-03-01T12:00Z", false),
    ] {
        let now = moment.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let today = Today { now, ..TODAY };
        assert_eq!(predicate.holds(&Scope::of_event(Event::Moment(now), &customer, today)), is_birthday, "{moment}");
    }
}

#[test]
fn a_step_asks_what_its_instance_kept_and_what_became_of_earlier_steps() {
    let fields = [("total_minor".to_owned(), "1500".to_owned())].into();
    let sent = Sent {
        number: 0,
        id: schemas::Id::of_instance("a", "b", "c", "d"),
        step: 0,
        alternative: 0,
        attempt: 0,
        channel: "email".into(),
        price_minor: 0,
        on_delivery: false,
        decided_at: 0,
        send_before: 0,
        handed_over_at: None,
        reached: Status::Delivered,
        failed: Status::Unspecified,
        outcome: schemas::Outcome::Busy,
    };
    let holds = |text: &str| {
        let steps = ["letter", "bot"];
        let predicate = compile(text, &Vocabulary::of_step(TriggerKind::Cart, &steps), &[Type::Bool]).unwrap();
        predicate.holds(&Scope::of_step(&fields, &customer(), std::slice::from_ref(&sent), TODAY))
    };
    assert!(holds("total_minor >= 1500"));
    assert!(holds("was_sent('letter') && was_delivered('letter') && !was_opened('letter')"));
    assert!(holds("!was_sent('bot')"));
}

#[test]
fn the_attributes_of_an_event_are_its_own() {
    let registration =
        Registration { attributes: [("city".to_owned(), "Perm".to_owned())].into(), ..Registration::default() };
    let predicate =
        compile("attributes.city == 'Perm'", &Vocabulary::of_trigger(TriggerKind::Registration), &[Type::Bool])
            .unwrap();
    assert!(predicate.holds(&Scope::of_event(Event::Registration(&registration), &customer(), TODAY)));
}

proptest! {
    #[test]
    fn any_text_is_either_compiled_or_refused(text in "[a-z0-9_.'\"()<>=!&|+*/ \\[\\],-]{0,60}") {
        if let Ok(predicate) = compile(&text, &Vocabulary::of_trigger(TriggerKind::Cart), &[Type::Bool]) {
            predicate.holds(&Scope::of_event(Event::Cart(&cart()), &customer(), TODAY));
        }
    }

    #[test]
    fn numbers_are_compared_as_numbers(left in any::<i32>(), right in any::<i32>()) {
        prop_assert_eq!(holds(&format!("{left} < {right}")), left < right);
        prop_assert_eq!(holds(&format!("{left} + {right} >= total_minor")), i64::from(left) + i64::from(right) >= 1500);
    }
}

#[test]
fn what_a_row_remembers_can_be_asked_for() {
    let at = |days_ago: i64| TODAY.now - days_ago * 86_400_000;
    let did = |action: &str, key: Option<&str>, days_ago| Done {
        action: action.into(),
        key: key.map(Into::into),
        occurred_at: at(days_ago),
    };
    let customer = Customer {
        done: vec![did("purchase", None, 91), did("purchase of", Some("school"), 300), did("visit", Some("a"), 5)],
        heard: vec![Heard { channel: "email".into(), at: at(89), unanswered_since: 0 }],
        past: vec![Past { campaign: "first".into(), ended_at: at(40), ..Past::default() }],
        attributes: [("birthday".into(), "1990-06-04".into()), ("ends".into(), "2026-05-30T10:00".into())].into(),
        ..Customer::default()
    };
    for (text, wanted) in [
        ("days_since('purchase') == 91", true),
        ("days_since('purchase') >= 90 && !did('purchase', 90)", true),
        ("days_since('login') >= 90", false),
        ("!did('login')", true),
        ("did('visit', 6) && !did('visit', 5)", true),
        ("bought('school', 400)", true),
        ("bought('school', 300)", false),
        ("bought('toys')", false),
        ("heard_on('email', 90) && !heard_on('push')", true),
        ("was_in('first') && !was_in('first', 40)", true),
        ("is_in('first')", false),
        ("days_to_anniversary(profile.attributes.birthday) == 3", true),
        ("days_until(profile.attributes.ends) == -2", true),
        ("days_until(profile.attributes.unknown) < 100", false),
    ] {
        let predicate = compile(text, &Vocabulary::of_trigger(TriggerKind::Schedule), &[Type::Bool])
            .unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
        assert_eq!(predicate.holds(&Scope::of_event(Event::Moment(TODAY.now), &customer, TODAY)), wanted, "{text}");
    }
}

#[test]
fn questions_about_the_past_take_names_and_days() {
    for (text, message) in [
        ("did(total_minor)", "`did` needs a name in quotes"),
        ("did('visit', 0)", "`did` takes a name and a number of days"),
        ("is_in('first', 5)", "`is_in` takes a name and a number of days"),
        ("heard_on('fax')", "`fax` is no channel"),
        ("days_since(5) > 3", "`days_since` needs a name in quotes"),
        ("days_until(5) > 3", "this is a whole number, but a text is needed"),
    ] {
        let faults = compile(text, &Vocabulary::of_trigger(TriggerKind::Cart), &[Type::Bool]).unwrap_err();
        assert_eq!(faults[0].message, message, "{text}");
    }
    for (place, text, name) in [
        (Vocabulary::of_step(TriggerKind::Cart, &[]), "was_in('a')", "was_in"),
        (Vocabulary::of_goal(), "!is_in('a')", "is_in"),
    ] {
        let faults = compile(text, &place, &[Type::Bool]).unwrap_err();
        assert_eq!(faults[0].message, format!("`{name}` can only be asked in the trigger"));
    }
}

/// The manual shows them: what it shows can be written.
#[test]
fn the_example_of_every_function_can_be_written() {
    let trigger = Vocabulary::of_trigger(TriggerKind::Cart);
    let step = Vocabulary::of_step(TriggerKind::Cart, &["letter", "call"]);
    for function in super::FUNCTIONS {
        let found = [&trigger, &step].map(|place| compile(function.example, place, &[Type::Bool]));
        assert!(found.iter().any(Result::is_ok), "{}: {found:?}", function.example);
        assert!(function.example.contains(&format!("{}(", function.name)), "{} is not in its example", function.name);
    }
}
