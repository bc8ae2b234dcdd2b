//! The table of records: type, number, name and every released schema. What is added to the contract is added here.

use std::sync::OnceLock;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use serde::{Serialize, de::DeserializeOwned};

use crate::projection::project;
use crate::{
    Action, Address, Attempt, Budget, Campaign, Cart, Customer, Feedback, Inactivity, Input, Journal, Profile,
    Registration, Reply, Revoke, Send, Suppression,
};

/// A type that crosses a topic. Implemented here only, from the table below.
pub trait Record: Serialize + DeserializeOwned + Compile {
    /// Full name of the schema, by which a registry's schema is recognised.
    const NAME: &'static str;
    /// Schemas of all released versions, in order; the last is the current one, which is written.
    const VERSIONS: &'static [&'static str];
    /// Schema id of the current version: `1_000_000_000 + 1_000 * number + version`. Registries count from 1 (or 100 001), so
    /// the two do not meet.
    const ID: u32;
    /// The current schema.
    const SCHEMA: &'static str = Self::VERSIONS[Self::VERSIONS.len() - 1];
}

/// Every id of our own schemas lies in here.
pub(crate) const OWN_IDS: std::ops::Range<u32> = 1_000_000_000..1_001_000_000;

/// Id of version 0 (there is none) of the record with this number.
const fn base(number: u32) -> u32 {
    OWN_IDS.start + 1_000 * number
}

/// Writes the table: numbers are never reused, and a new version is a further file at the end of its list.
macro_rules! records {
    ($($number:literal $record:ident $name:literal [$($file:literal),+];)*) => {
        /// Number, full name and current schema of every record, in the order in which a message meets them.
        const TABLE: &[(u32, &str, &str)] = &[$(($number, $name, $record::SCHEMA)),*];

        $(
            impl Record for $record {
                const NAME: &'static str = $name;
                const VERSIONS: &'static [&'static str] = &[$(include_str!(concat!("../", $file))),+];
                const ID: u32 = base($number) + Self::VERSIONS.len() as u32;
            }

            impl Compile for $record {
                fn compiled() -> &'static Compiled {
                    static COMPILED: OnceLock<Compiled> = OnceLock::new();
                    COMPILED.get_or_init(|| Compiled::of($number, Self::VERSIONS))
                }
            }
        )*
    };
}

records! {
    0 Cart "dev.cascade.Cart" ["cart.avsc"];
    1 Registration "dev.cascade.Registration" ["registration.avsc"];
    2 Inactivity "dev.cascade.Inactivity" ["inactivity.avsc"];
    3 Action "dev.cascade.Action" ["action.avsc"];
    4 Profile "dev.cascade.Profile" ["profile.avsc"];
    5 Feedback "dev.cascade.Feedback" ["feedback.avsc"];
    6 Input "dev.cascade.Input" ["input.avsc"];
    7 Customer "dev.cascade.Customer" ["row.avsc"];
    8 Send "dev.cascade.Send" ["send.avsc"];
    9 Revoke "dev.cascade.Revoke" ["revoke.avsc"];
    10 Attempt "dev.cascade.Attempt" ["attempt.avsc"];
    11 Journal "dev.cascade.Journal" ["journal.avsc"];
    12 Campaign "dev.cascade.Campaign" ["campaign.avsc"];
    13 Budget "dev.cascade.Budget" ["budget.avsc"];
    14 Address "dev.cascade.Address" ["address.avsc"];
    15 Reply "dev.cascade.Reply" ["reply.avsc"];
    16 Suppression "dev.cascade.Suppression" ["suppression.avsc"];
}

/// Full name of the record that has one of our own ids.
pub(crate) fn name_of(id: u32) -> Option<&'static str> {
    TABLE.iter().find(|(number, ..)| (base(*number)..base(number + 1)).contains(&id)).map(|(_, name, _)| *name)
}

/// Our name and current schema of the record with this full name.
pub(crate) fn named(name: &str) -> Option<(&'static str, &'static str)> {
    TABLE.iter().find(|(_, own, _)| *own == name).map(|(_, name, schema)| (*name, *schema))
}

/// What records of all versions are read with; parsed once. Public only because [`Record`] rests on it.
pub trait Compile: 'static {
    #[doc(hidden)]
    fn compiled() -> &'static Compiled;
}

/// Parsed schemas of one record.
#[doc(hidden)]
pub struct Compiled {
    /// Id of the first version.
    first: u32,
    /// Reads what the version at this index wrote.
    readers: Vec<GenericDatumReader<'static>>,
}

impl Compiled {
    #[expect(clippy::expect_used, reason = "schemas are built in, and tests compile each of them")]
    fn of(number: u32, versions: &[&str]) -> Self {
        let schemas: Vec<Schema> =
            versions.iter().map(|text| Schema::parse_str(text).expect("the schema is valid")).collect();
        // Once for each record and for the life of the process: the readers borrow from it.
        let schemas: &'static [Schema] = Vec::leak(schemas);
        let current = schemas.last().expect("there is a version");
        Compiled {
            first: base(number) + 1,
            readers: schemas
                .iter()
                .map(|written| project(written, current).expect("old versions stay readable"))
                .collect(),
        }
    }

    /// The reader of one of this record's ids.
    pub(crate) fn reader(&self, id: u32) -> Option<&GenericDatumReader<'static>> {
        self.readers.get(usize::try_from(id.checked_sub(self.first)?).ok()?)
    }
}
