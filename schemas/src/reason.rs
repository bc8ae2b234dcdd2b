//! Why: the one list that the sentences of `cascade journal`, the `reason` labels of metrics and every report are made from.

use crate::symbol::symbols;

/// Declares [`Reason`] from a table of variant, symbol and sentence. The sentence is the variant's documentation as well.
macro_rules! reasons {
    ($($variant:ident = $symbol:literal: $sentence:literal,)*) => {
        symbols! {
            /// Why something was done, or not done. New reasons are added at the end.
            pub enum Reason {
                $(#[doc = $sentence] $variant = $symbol,)*
            }
        }

        impl Reason {
            /// What it means, in plain words and without any data: the end of a sentence, in lower case and without a full stop.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Reason::$variant => $sentence,)*
                }
            }
        }
    };
}

reasons! {
    Unspecified = "UNSPECIFIED": "for a reason that this program does not know: it is older than the record",
    // An instance begins, or does not.
    Entered = "ENTERED": "the trigger matched; an instance was entered",
    PredicateFalse = "PREDICATE_FALSE": "the trigger's predicate did not hold",
    TriggerTooOld = "TRIGGER_TOO_OLD": "the trigger came later than its maximum age",
    AlreadyRunning = "ALREADY_RUNNING": "an instance with this key runs already, or as many as a customer may have",
    Duplicate = "DUPLICATE": "the same event id was seen before",
    Refreshed = "REFRESHED": "the trigger came again: its fields were taken over, and settling began anew if it had not ended",
    CampaignPaused = "CAMPAIGN_PAUSED": "the campaign does not take new instances",
    GoalBefore = "GOAL_BEFORE": "the goal was reached before the trigger, within its grace",
    // A step goes out, or does not.
    Sent = "SENT": "a send command was published",
    NoContact = "NO_CONTACT": "there is no address on this channel",
    NoConsent = "NO_CONSENT": "there is no consent for this channel",
    CannotSend = "CANNOT_SEND": "no channel of the step can be used",
    StepSkipped = "STEP_SKIPPED": "the step's own condition did not hold",
    ValidityOver = "VALIDITY_OVER": "the step's validity had ended",
    Held = "HELD": "the customer's sends are held because of a record that could not be read",
    // What became of it.
    HandedOver = "HANDED_OVER": "the worker handed it over: the wait begins",
    Delivered = "DELIVERED": "the provider confirmed arrival",
    Opened = "OPENED": "a human opened it",
    MachineOpened = "MACHINE_OPENED": "a machine opened it, which counts as delivered",
    Clicked = "CLICKED": "the customer clicked",
    Replied = "REPLIED": "the customer replied",
    NotDelivered = "NOT_DELIVERED": "it did not arrive, as somebody said",
    NoInformation = "NO_INFORMATION": "the wait ended without any word of it",
    NotOpened = "NOT_OPENED": "the wait ended and it was not opened",
    NoGoal = "NO_GOAL": "the wait ended and the goal was not reached",
    Refused = "REFUSED": "the worker or the provider refused it",
    Expired = "EXPIRED": "its moment passed before it could be handed over",
    Revoked = "REVOKED": "it was withdrawn in time",
    UnknownOutcome = "UNKNOWN_OUTCOME": "whether it was handed over is not known",
    DoubleReached = "DOUBLE_REACHED": "a positive word about an earlier send came after the next step was decided",
    LateFeedback = "LATE_FEEDBACK": "it is feedback about a send of a cascade that has ended, or of none",
    // An instance ends.
    GoalReached = "GOAL_REACHED": "the customer did what was hoped for",
    StopReached = "STOP_REACHED": "the stop level was reached",
    Exhausted = "EXHAUSTED": "no step is left",
    OptedOut = "OPTED_OUT": "the customer unsubscribed or complained",
    Withdrawn = "WITHDRAWN": "the thing it was about is gone (an emptied cart)",
    Erased = "ERASED": "the customer's data were erased",
    CampaignStopped = "CAMPAIGN_STOPPED": "the campaign was stopped",
    // What concerns the customer as such.
    ProfileUpdated = "PROFILE_UPDATED": "the profile was replaced",
    HoldPlaced = "HOLD_PLACED": "a record of unknown meaning came: sends are held",
    HoldReleased = "HOLD_RELEASED": "somebody released the customer",
    // Later additions.
    Delayed = "DELAYED": "the next step has a moment of its own, which has not come yet",
    Deferred = "DEFERRED": "the provider could not deliver it yet and may still try",
    Superseded = "SUPERSEDED": "a newer record about the same thing was there before",
    CoolingDown = "COOLING_DOWN": "the same campaign ended too short a while ago",
    NoDate = "NO_DATE": "the date that the step depends on is not known",
    QuietHours = "QUIET_HOURS": "it is quiet where the customer lives",
    Capped = "CAPPED": "a cap leaves no room for one more message",
    HeldOut = "HELD_OUT": "the customer is held out for comparison: nothing is sent, as if nobody reacted",
    Restarted = "RESTARTED": "the trigger came again: this run ends, and a new one begins",
    OftenEnough = "OFTEN_ENOUGH": "the campaign has begun with this customer as often as it may",
    Queued = "QUEUED": "the trigger came again: it waits until this run has ended",
    Frozen = "FROZEN": "the campaign is paused: the cascade keeps its place, and nothing goes out",
    Thawed = "THAWED": "the campaign was resumed: the cascade goes on",
    Migrated = "MIGRATED": "the cascade was moved to another version of its campaign",
    // What one row says to another.
    FormerId = "FORMER_ID": "the profile names a former id: what is known under it is asked for",
    Moved = "MOVED": "the customer is known under another id now: all that is known goes there",
    Adopted = "ADOPTED": "what was known under a former id has come, and its cascades go on here",
    Merged = "MERGED": "the customer came under another id, and a cascade cannot go on beside what runs there",
    Forwarded = "FORWARDED": "it came for a former id and was passed on",
    TooFar = "TOO_FAR": "it was passed on too often and was set aside",
    BudgetAsked = "BUDGET_ASKED": "the campaign's budget is asked for the price",
    BudgetGranted = "BUDGET_GRANTED": "the campaign's budget has room for the price",
    BudgetSpent = "BUDGET_SPENT": "the campaign's budget has no room for the price",
    BudgetReturned = "BUDGET_RETURNED": "what the campaign's budget had granted was not needed and was given back",
    // What a task for a person came to.
    NoAnswer = "NO_ANSWER": "nobody answered the call",
    Busy = "BUSY": "the line was busy",
    WrongNumber = "WRONG_NUMBER": "the customer is not at this number, or nobody is",
    Reached = "REACHED": "the customer was spoken to",
    Later = "LATER": "the customer was spoken to and wants to be asked later",
    Agreed = "AGREED": "the customer was spoken to and promised to do what was hoped for",
    Declined = "DECLINED": "the customer was spoken to and does not want it",
    TurnedDown = "TURNED_DOWN": "the customer said no to somebody: nothing follows",
    Asleep = "ASLEEP": "nothing has come back on this channel for so long that the contact counts as asleep",
    SharedAddress = "SHARED_ADDRESS": "another customer has the same address, and what was heard of it there counts here",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_reads_on_and_no_two_are_alike() {
        let mut seen = std::collections::BTreeSet::new();
        for reason in Reason::ALL {
            let sentence = reason.sentence();
            assert!(sentence.starts_with(|first: char| first.is_lowercase()), "{reason}: {sentence}");
            assert!(!sentence.ends_with('.'), "{reason}: {sentence}");
            assert!(seen.insert(sentence), "{reason} shares its sentence with another reason");
        }
    }
}
