//! What the provider's answers mean. The table is on the front page.

use std::collections::BTreeMap;
use std::time::Duration;

use rusmpp::CommandStatus;
use serde::Deserialize;

use super::Answer;

/// A provider that we went too fast for is left alone so long.
const THROTTLED: Duration = Duration::from_secs(1);

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// This message is refused.
    Refused,
    /// Nobody is at this number.
    NobodyThere,
    /// Not taken for now.
    NotTaken,
    /// Not taken for now, and no other would be: all calls pause for a second.
    Throttled,
    /// Nobody knows.
    Unknown,
}

/// The standard's answers and the provider's own.
#[derive(Debug)]
pub(super) struct Statuses {
    own: BTreeMap<u32, Verdict>,
}

impl Statuses {
    /// `own` by number: decimal, or hexadecimal behind `0x`.
    pub(super) fn new(own: &BTreeMap<String, Verdict>) -> Result<Self, String> {
        let number = |text: &str| match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        };
        let read = |(text, verdict): (&String, &Verdict)| {
            let number = number(text).filter(|number| *number != 0);
            number.map(|number| (number, *verdict)).ok_or_else(|| format!("{text} is no number of an answer"))
        };
        Ok(Statuses { own: own.iter().map(read).collect::<Result<_, _>>()? })
    }

    pub(super) fn read(&self, status: CommandStatus, id: Option<String>) -> Answer {
        let number = u32::from(status);
        if number == 0 {
            return Answer::taken(id);
        }
        let code = code(status);
        match self.own.get(&number).copied().unwrap_or_else(|| verdict(status)) {
            Verdict::Refused => Answer::refused(code),
            Verdict::NobodyThere => Answer::nobody_there(code),
            Verdict::NotTaken => Answer::not_taken(code),
            Verdict::Throttled => Answer::NotTaken { code, retry_after: Some(THROTTLED) },
            Verdict::Unknown => Answer::unknown(code),
        }
    }
}

/// The code of an answer, as it is shown.
pub(super) fn code(status: CommandStatus) -> String {
    format!("smpp_{:#04x}", u32::from(status))
}

/// What is about us meets every message: refusals would send everybody the next, dearer one.
fn verdict(status: CommandStatus) -> Verdict {
    match status {
        CommandStatus::EsmeRinvdstadr => Verdict::NobodyThere,
        CommandStatus::EsmeRinvmsglen
        | CommandStatus::EsmeRsubmitfail
        | CommandStatus::EsmeRxPAppn
        | CommandStatus::EsmeRxRAppn
        | CommandStatus::EsmeRdeliveryfailure => Verdict::Refused,
        CommandStatus::EsmeRthrottled => Verdict::Throttled,
        CommandStatus::EsmeRunknownerr => Verdict::Unknown,
        _ => Verdict::NotTaken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(number: u32) -> Answer {
        Statuses::new(&BTreeMap::new()).unwrap().read(CommandStatus::from(number), None)
    }

    #[test]
    fn every_row_of_the_table_is_read_as_it_says() {
        assert_eq!(
            Statuses::new(&BTreeMap::new()).unwrap().read(CommandStatus::EsmeRok, Some("7".to_owned())),
            Answer::taken(Some("7".to_owned()))
        );
        assert_eq!(read(0x0b), Answer::nobody_there("smpp_0x0b"));
        for (number, code) in
            [(0x01, "smpp_0x01"), (0x45, "smpp_0x45"), (0x65, "smpp_0x65"), (0x66, "smpp_0x66"), (0xfe, "smpp_0xfe")]
        {
            assert_eq!(read(number), Answer::refused(code));
        }
        let throttled = Answer::NotTaken { code: "smpp_0x58".to_owned(), retry_after: Some(Duration::from_secs(1)) };
        assert_eq!(read(0x58), throttled);
        assert_eq!(read(0xff), Answer::unknown("smpp_0xff"));
        let others = [
            0x02,
            0x03,
            0x04,
            0x05,
            0x06,
            0x07,
            0x08,
            0x0a,
            0x0c,
            0x0d,
            0x0e,
            0x0f,
            0x11,
            0x13,
            0x14,
            0x15,
            0x33,
            0x34,
            0x40,
            0x42,
            0x43,
            0x44,
            0x48,
            0x49,
            0x50,
            0x51,
            0x53,
            0x54,
            0x55,
            0x61,
            0x62,
            0x63,
            0x64,
            0x67,
            0xc0,
            0xc1,
            0xc2,
            0xc3,
            0xc4,
            0x400,
            0x4ff,
            0x10,
            0xffff_ffff,
        ];
        for number in others {
            assert_eq!(read(number), Answer::not_taken(format!("smpp_{number:#04x}")));
        }
    }

    #[test]
    fn a_providers_own_answers_mean_what_configuration_says() {
        let own = [("0x0401", Verdict::Refused), ("1040", Verdict::NobodyThere), ("0x0b", Verdict::Throttled)];
        let own = own.map(|(number, verdict)| (number.to_owned(), verdict)).into();
        let statuses = Statuses::new(&own).unwrap();
        assert_eq!(statuses.read(CommandStatus::from(0x401), None), Answer::refused("smpp_0x401"));
        assert_eq!(statuses.read(CommandStatus::from(0x410), None), Answer::nobody_there("smpp_0x410"));
        assert!(matches!(
            statuses.read(CommandStatus::EsmeRinvdstadr, None),
            Answer::NotTaken { retry_after: Some(_), .. }
        ));
        for text in ["", "x", "0x", "0", "-1"] {
            assert!(Statuses::new(&BTreeMap::from([(text.to_owned(), Verdict::Refused)])).is_err(), "{text}");
        }
    }
}
