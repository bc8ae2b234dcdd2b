//! A customer with several devices counts once.
//!
//! An address of a push channel is one token (or subscription), or a JSON list of them: `["…","…"]`. All are called at once,
//! and their answers make one:
//!
//! | the devices' answers | is read as |
//! |---|---|
//! | one took it | taken; where nobody is there at others, with the code `dead_1_of_3`: how many of how many |
//! | none took it, of one nobody knows | unknown |
//! | none took it, one may later | not taken for now; the longest pause that was asked for |
//! | none will take it, one refuses this message only | refused |
//! | nobody is there at any | nobody is there |
//!
//! Which of the devices are dead is not told: their tokens are addresses. Who sees the code in `feedback` may ask the app's own service to
//! look after the list.
//!
//! Of more than [`schemas::devices::MAX`] the last count: whoever appends what is new has them there.

use std::time::Duration;

use futures_util::future::join_all;
use schemas::devices;

use super::Answer;

/// Calls every device of an address by `call`.
pub(super) async fn each<'a, F: Future<Output = Answer>>(
    address: &str,
    call: impl Fn(String, bool) -> F + 'a,
) -> Answer {
    let devices = devices::of(address);
    let alone = devices.len() == 1;
    joined(join_all(devices.into_iter().map(|device| call(device, alone))).await)
}

fn joined(answers: Vec<Answer>) -> Answer {
    let asked: Option<Duration> = answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::NotTaken { retry_after, .. } => *retry_after,
            _ => None,
        })
        .max();
    let (dead, all) =
        (answers.iter().filter(|answer| matches!(answer, Answer::NobodyThere { .. })).count(), answers.len());
    // The first of the strongest: several devices that say the same are in the order of the list.
    let strongest = answers.into_iter().rev().max_by_key(|answer| match answer {
        Answer::Accepted { .. } => 4,
        Answer::Unknown { .. } | Answer::Stale | Answer::TooLate => 3,
        Answer::NotTaken { .. } | Answer::Elsewhere { .. } => 2,
        Answer::Refused { .. } | Answer::Unfit { .. } => 1,
        Answer::NobodyThere { .. } => 0,
    });
    match strongest {
        Some(Answer::NotTaken { code, .. }) => Answer::NotTaken { code, retry_after: asked },
        Some(Answer::Accepted { provider_id, .. }) if dead > 0 => {
            Answer::Accepted { provider_id, code: Some(format!("dead_{dead}_of_{all}")) }
        }
        Some(answer) => answer,
        None => Answer::unfit("no_address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(id: &str) -> Answer {
        Answer::taken(Some(id.to_owned()))
    }

    fn beside(id: &str, code: &str) -> Answer {
        Answer::Accepted { provider_id: Some(id.to_owned()), code: Some(code.to_owned()) }
    }

    fn later(seconds: Option<u64>) -> Answer {
        Answer::NotTaken { code: "later".to_owned(), retry_after: seconds.map(Duration::from_secs) }
    }

    #[test]
    fn the_answers_of_all_devices_make_one_as_the_table_says() {
        let (dead, refused, unknown) = (Answer::nobody_there("dead"), Answer::refused("no"), Answer::unknown("broke"));
        for (answers, expected) in [
            (vec![dead.clone(), unknown.clone(), taken("1"), taken("2"), later(None)], beside("1", "dead_1_of_5")),
            (vec![dead.clone(), taken("1"), dead.clone()], beside("1", "dead_2_of_3")),
            (vec![refused.clone(), taken("1"), unknown.clone()], taken("1")),
            (vec![dead.clone(), later(Some(7)), unknown.clone(), refused.clone()], unknown),
            (vec![later(None), later(Some(7)), dead.clone(), refused.clone(), later(Some(3))], later(Some(7))),
            (vec![dead.clone(), refused.clone(), dead.clone()], refused),
            (vec![dead.clone(), dead.clone()], dead),
            (vec![], Answer::unfit("no_address")),
        ] {
            assert_eq!(joined(answers.clone()), expected, "{answers:?}");
        }
    }
}
