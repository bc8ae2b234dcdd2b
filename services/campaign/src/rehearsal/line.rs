//! Understands what happens on a line: words become an [`Event`]. Whatever is wrong is told with what to write instead.

use std::collections::BTreeMap;
use std::str::FromStr;

use schemas::{
    Action, Actor, Campaign, CampaignKind, Cart, Fact, Inactivity, Item, OnResume, Registration, Release, Unreadable,
};

use crate::channel::{Channel, outcomes};
use crate::language::{Report, nearest};

use super::event::{Event, STATUSES, WORDS, outcome};
use super::words::Word;

/// Understands the words behind a line's time. None where something is wrong, which is told.
pub(super) fn event(words: &[Word], report: &mut Report<'_>) -> Option<Event> {
    let (first, rest) = words.split_first()?;
    Some(match first.text.as_str() {
        "has" => Event::Has(channels(first, rest, report)?),
        "refuses" => Event::Refuses(channels(first, rest, report)?),
        "profile" => Event::Profile(pairs(rest, report)?),
        "cart" => fact(Fact::Cart(cart(first, rest, report)?)),
        "registers" => fact(Fact::Registration(registration(rest, report)?)),
        "silent" => fact(Fact::Inactivity(inactivity(first, rest, report)?)),
        "does" => fact(Fact::Action(action(first, rest, report)?)),
        "piled" => Event::Piled(Box::new(piled(first, rest, report)?)),
        "worker" => worker(first, rest, report)?,
        "apply" | "pause" | "resume" | "stop" | "migrate" => Event::Said(Box::new(said(first, rest, report)?)),
        word if STATUSES.iter().any(|(status, ..)| *status == word) || outcome(word).is_some() => {
            status(first, rest, report)?
        }
        _ => alone(first, rest, report)?,
    })
}

fn fact(fact: Fact) -> Event {
    Event::Fact(Box::new(fact))
}

/// A happening of fixed words.
fn alone(first: &Word, rest: &[Word], report: &mut Report<'_>) -> Option<Event> {
    let second = rest.first().map(|word| word.text.as_str());
    let (event, taken) = match (first.text.as_str(), second) {
        ("time", Some("passes")) => (Event::Passes, 1),
        ("erased", _) => (Event::Erased, 0),
        ("again", _) => (Event::Again, 0),
        ("down", _) => (Event::Down, 0),
        ("deadlines", _) => (Event::Deadlines, 0),
        ("unreadable", _) => (fact(Fact::Unreadable(Unreadable { code: "not-avro".to_owned() })), 0),
        ("release", _) => (fact(Fact::Release(Release { note: "looked at".to_owned(), ..Release::default() })), 0),
        (other, _) => {
            let outcomes: Vec<String> = outcomes().map(|(word, _)| word.replace(' ', "-")).collect();
            let known = WORDS.into_iter().chain(STATUSES.iter().map(|(word, ..)| *word));
            let known = known.chain(outcomes.iter().map(String::as_str));
            report.error(first.place, format!("`{other}` is nothing that happens"), nearest(other, known));
            return None;
        }
    };
    nothing_more(&rest[taken..], report).then_some(event)
}

fn channels(first: &Word, rest: &[Word], report: &mut Report<'_>) -> Option<Vec<String>> {
    if rest.is_empty() && first.text != "has" {
        report.error(first.place, "which channels?", "write `refuses email sms`");
        return None;
    }
    for word in rest {
        if Channel::find(&word.text).is_none() {
            report.error(word.place, format!("`{}` is no channel", word.text), nearest(&word.text, Channel::names()));
            return None;
        }
    }
    Some(rest.iter().map(|word| word.text.clone()).collect())
}

fn cart(first: &Word, rest: &[Word], report: &mut Report<'_>) -> Option<Cart> {
    let [id, version, total, rest @ ..] = rest else {
        report.error(
            first.place,
            "a cart has an id, a version and a total",
            "write `cart c1 1 5000`, or `cart c1 2 empty`",
        );
        return None;
    };
    let version = number(version, report)?;
    let total_minor = if total.text == "empty" { 0 } else { number(total, report)? };
    let mut said = named(rest, report)?;
    let quantity = match said.remove("quantity") {
        Some(word) => number(word, report)?,
        None => 1,
    };
    let mut text = |name: &str, usual: &str| said.remove(name).map_or_else(|| usual.to_owned(), value);
    let item = Item { sku: text("sku", "A1"), category: text("category", "toys"), quantity, price_minor: total_minor };
    let currency = text("currency", "USD");
    let link = said.remove("link").map(value);
    if let Some((name, word)) = said.first_key_value() {
        let known = ["currency", "link", "sku", "category", "quantity"];
        report.error(word.place, format!("a cart says nothing of `{name}`"), nearest(name, known));
        return None;
    }
    let items = if total_minor > 0 { vec![item] } else { Vec::new() };
    Some(Cart { cart_id: id.text.clone(), version, total_minor, currency, items, link, ..Cart::default() })
}

fn registration(rest: &[Word], report: &mut Report<'_>) -> Option<Registration> {
    let mut said = named(rest, report)?;
    let source = said.remove("source").map_or_else(|| "web".to_owned(), value);
    Some(Registration { source, attributes: attributes(&said), ..Registration::default() })
}

fn inactivity(first: &Word, rest: &[Word], report: &mut Report<'_>) -> Option<Inactivity> {
    let Some((days, rest)) = rest.split_first() else {
        report.error(first.place, "for how many days?", "write `silent 31`");
        return None;
    };
    Some(Inactivity {
        days: number(days, report)?,
        attributes: attributes(&named(rest, report)?),
        ..Inactivity::default()
    })
}

fn action(first: &Word, rest: &[Word], report: &mut Report<'_>) -> Option<Action> {
    let Some((action, rest)) = rest.split_first() else {
        report.error(first.place, "does what?", "write `does purchase`, or `does order_ready o1` with a key");
        return None;
    };
    let (key, rest) = match rest.split_first() {
        Some((key, rest)) if !key.text.contains('=') => (Some(key.text.clone()), rest),
        _ => (None, rest),
    };
    let mut said = named(rest, report)?;
    let amount_minor = match said.remove("amount_minor") {
        Some(word) => number(word, report)?,
        None => 0,
    };
    let currency = said.remove("currency").map_or_else(String::new, value);
    let bought = [said.remove("sku").map(value), said.remove("category").map(value)];
    let items = match bought {
        [None, None] => Vec::new(),
        [sku, category] => {
            let (sku, category) = (sku.unwrap_or_default(), category.unwrap_or_default());
            vec![Item { sku, category, quantity: 1, price_minor: amount_minor }]
        }
    };
    let attributes = attributes(&said);
    Some(Action { action: action.text.clone(), key, amount_minor, currency, items, attributes, ..Action::default() })
}

fn status(first: &Word, rest: &[Word], report: &mut Report<'_>) -> Option<Event> {
    let Some((step, rest)) = rest.split_first() else {
        report.error(first.place, "of which message is this said?", format!("write the step: `{} free`", first.text));
        return None;
    };
    let mut said = named(rest, report)?;
    let code = said.remove("code").map(value);
    if let Some((name, word)) = said.first_key_value() {
        report.error(word.place, format!("a word about a message says nothing of `{name}`"), nearest(name, ["code"]));
        return None;
    }
    let (step, outcome) = (step.text.clone(), outcome(&first.text).unwrap_or_default());
    let (status, actor) = match outcome.status() {
        Some(status) => (status, Actor::Unspecified),
        None => STATUSES.iter().find(|(word, ..)| *word == first.text).map(|(_, status, actor)| (*status, *actor))?,
    };
    Some(Event::Word { step, status, actor, outcome, code })
}

/// What piles up are facts: they can wait for somebody to look at them.
fn piled(first: &Word, rest: &[Word], report: &mut Report<'_>) -> Option<Event> {
    let event = match rest.is_empty() {
        true => None,
        false => Some(event(rest, report)?),
    };
    match event {
        Some(Event::Said(_) | Event::Worker(_) | Event::Down | Event::Deadlines | Event::Passes | Event::Piled(_))
        | None => {
            report.error(first.place, "only facts pile up", "write `piled does purchase`");
            None
        }
        fact => fact,
    }
}

fn worker(first: &Word, rest: &[Word], report: &mut Report<'_>) -> Option<Event> {
    match rest {
        [state] if state.text == "on" || state.text == "off" => Some(Event::Worker(state.text == "on")),
        _ => {
            let place = rest.first().map_or(first.place, |word| word.place);
            report.error(place, "a worker is on or off", "write `worker off`");
            None
        }
    }
}

/// What becomes of running cascades when a pause is over.
const ON_RESUME: [(&str, OnResume); 3] =
    [("continue", OnResume::Continue), ("skip", OnResume::Skip), ("end", OnResume::End)];

/// What is said of a campaign's life.
fn said(first: &Word, rest: &[Word], report: &mut Report<'_>) -> Option<Campaign> {
    let Some((campaign, rest)) = rest.split_first() else {
        report.error(first.place, "which campaign?", format!("write its name: `{} cart-left`", first.text));
        return None;
    };
    let kind = match first.text.as_str() {
        "apply" => CampaignKind::Definition,
        "pause" => CampaignKind::Paused,
        "resume" => CampaignKind::Resumed,
        "stop" => CampaignKind::Stopped,
        _ => CampaignKind::Migrated,
    };
    let mut said = Campaign { campaign: campaign.text.clone(), kind, ..Campaign::default() };
    match (kind, rest) {
        (CampaignKind::Definition, [version, rest @ ..]) => {
            said.version = number(version, report)?;
            nothing_more(rest, report).then_some(())?;
        }
        (CampaignKind::Definition, _) => {
            report.error(first.place, "which version?", "write `apply cart-left 2`");
            return None;
        }
        (CampaignKind::Migrated, [from, to, renamed @ ..]) => {
            (said.from_version, said.version) = (number(from, report)?, number(to, report)?);
            said.steps = attributes(&named(renamed, report)?);
        }
        (CampaignKind::Migrated, _) => {
            report.error(first.place, "from which version to which?", "write `migrate cart-left 1 2`");
            return None;
        }
        (CampaignKind::Paused, [word, rest @ ..]) => {
            let Some((_, on_resume)) = ON_RESUME.iter().find(|(name, _)| *name == word.text) else {
                let known = ON_RESUME.map(|(name, _)| name);
                report.error(
                    word.place,
                    format!("a pause does not end with `{}`", word.text),
                    nearest(&word.text, known),
                );
                return None;
            };
            said.on_resume = *on_resume;
            nothing_more(rest, report).then_some(())?;
        }
        (_, rest) => nothing_more(rest, report).then_some(())?,
    }
    Some(said)
}

fn nothing_more(rest: &[Word], report: &mut Report<'_>) -> bool {
    if let Some(word) = rest.first() {
        report.error(word.place, format!("`{}` has no meaning here", word.text), "remove it, or write `#` before it");
    }
    rest.is_empty()
}

/// `NAME=VALUE` words by their names.
fn named<'w>(words: &'w [Word], report: &mut Report<'_>) -> Option<BTreeMap<&'w str, &'w Word>> {
    let mut named = BTreeMap::new();
    for word in words {
        let Some((name, _)) = word.text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            let hint = "write a name and its value: `city=Perm`, `city=\"Nizhny Novgorod\"`";
            report.error(word.place, format!("`{}` has no name", word.text), hint);
            return None;
        };
        if named.insert(name, word).is_some() {
            report.error(word.place, format!("`{name}` stands here twice"), "remove one of them");
            return None;
        }
    }
    Some(named)
}

fn pairs(words: &[Word], report: &mut Report<'_>) -> Option<Vec<(String, String)>> {
    Some(attributes(&named(words, report)?).into_iter().collect())
}

fn attributes(said: &BTreeMap<&str, &Word>) -> BTreeMap<String, String> {
    said.iter().map(|(name, word)| ((*name).to_owned(), value(word))).collect()
}

fn value(word: &Word) -> String {
    word.text.split_once('=').map_or_else(|| word.text.clone(), |(_, value)| value.to_owned())
}

/// A whole number, bare or as a value.
fn number<T: FromStr>(word: &Word, report: &mut Report<'_>) -> Option<T> {
    let text = value(word);
    let number = text.parse().ok();
    if number.is_none() {
        report.error(
            word.place,
            format!("`{text}` is no whole number that can stand here"),
            "write digits only, such as `5000`",
        );
    }
    number
}
