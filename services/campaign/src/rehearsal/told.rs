//! What was decided, one line each: what a timeline's expectations are compared with.

use std::collections::BTreeMap;

use schemas::{Millis, Reason};

use crate::Effect;
use crate::calendar::spell;
use crate::channel::Channel;
use crate::language::{Report, nearest};

use super::words::Word;
use super::world::World;

/// What repeats another line, or is no decision.
const QUIET: [Reason; 3] = [Reason::Sent, Reason::ProfileUpdated, Reason::HandedOver];

/// Everything that was decided, in its order. A send and its journal entry are one line; updates of the profile and
/// hand-overs are left out.
pub fn told(world: &World) -> Vec<String> {
    world.effects.iter().filter_map(|(at, effect)| tell(at.saturating_sub(world.begin()), effect)).collect()
}

/// An effect as timelines write it, at this time since the begin; none where it is left out.
pub fn tell(since: Millis, effect: &Effect) -> Option<String> {
    let decided = match effect {
        Effect::Send(send) => format!("send {} by {}", send.step, send.channel),
        Effect::Revoke(revoke) => format!("revoke {} {}", revoke.channel, revoke.reason),
        Effect::Journal(journal) if QUIET.contains(&journal.reason) => return None,
        Effect::Journal(journal) => {
            let words = [journal.reason.as_str(), &journal.step, &journal.channel];
            words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        }
        Effect::Forward { .. } | Effect::Suppress { .. } | Effect::SetAside { .. } => return None,
    };
    Some(format!("{} {decided}", spell(since)))
}

/// Understands what is expected, behind its time. None where nothing that is decided can read like this, which is told.
pub(super) fn expected(words: &[Word], report: &mut Report<'_>) -> Option<String> {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let (channel, reason) = match texts.as_slice() {
        ["send", _, "by", _] => (words.get(3), None),
        ["revoke", _, _] => (words.get(1), words.get(2)),
        ["send" | "revoke", ..] | [] | [_, _, _, _, ..] => {
            let place = words.first()?.place;
            report.error(place, "nothing that is decided reads like this", SHAPES);
            return None;
        }
        [_, ..] => (words.get(2), words.first()),
    };
    let symbols: BTreeMap<&str, Reason> = Reason::ALL.iter().map(|reason| (reason.as_str(), *reason)).collect();
    if let Some(word) = reason.filter(|word| !symbols.contains_key(word.text.as_str())) {
        report.error(word.place, format!("`{}` is no reason", word.text), nearest(&word.text, symbols.into_keys()));
        return None;
    }
    if let Some(word) = reason.filter(|word| QUIET.iter().any(|quiet| quiet.as_str() == word.text)) {
        report.error(word.place, format!("`{}` is not told in a timeline", word.text), SHAPES);
        return None;
    }
    if let Some(word) = channel.filter(|word| Channel::find(&word.text).is_none()) {
        report.error(word.place, format!("`{}` is no channel", word.text), nearest(&word.text, Channel::names()));
        return None;
    }
    Some(texts.join(" "))
}

const SHAPES: &str = "write `send STEP by CHANNEL`, `revoke CHANNEL REASON`, or a reason with step and channel: \
                      `NO_INFORMATION free push`";
