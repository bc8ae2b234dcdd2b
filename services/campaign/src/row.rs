//! The row of a key, whosever it is.

use schemas::{Address, Budget, Customer, DecodeError, Millis, Record};

use crate::decide;

/// The row of a key: a customer's, or that of something that all customers share.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every row is a customer's")]
pub enum Row {
    /// A customer's.
    Customer(Customer),
    /// A campaign's budget.
    Budget(Budget),
    /// That of an address, which several customers may have.
    Address(Address),
}

impl Default for Row {
    fn default() -> Self {
        Row::Customer(Customer::default())
    }
}

impl Row {
    /// Reads a row, whose frame says what it is.
    ///
    /// # Errors
    /// If the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match schemas::decode(bytes) {
            Ok(customer) => Ok(Row::Customer(customer)),
            Err(DecodeError::WrongRecord { found: Budget::NAME, .. }) => schemas::decode(bytes).map(Row::Budget),
            Err(DecodeError::WrongRecord { found: Address::NAME, .. }) => schemas::decode(bytes).map(Row::Address),
            Err(error) => Err(error),
        }
    }

    /// Appends its bytes; none where nothing is known.
    pub fn encode_into(&self, bytes: &mut Vec<u8>) {
        match self {
            Row::Customer(customer) if *customer != Customer::default() => schemas::encode_into(customer, bytes),
            Row::Budget(budget) if *budget != Budget::default() => schemas::encode_into(budget, bytes),
            Row::Address(address) if *address != Address::default() => schemas::encode_into(address, bytes),
            Row::Customer(_) | Row::Budget(_) | Row::Address(_) => {}
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        match self {
            Row::Customer(customer) => *customer == Customer::default(),
            Row::Budget(budget) => *budget == Budget::default(),
            Row::Address(address) => *address == Address::default(),
        }
    }

    /// When it must be looked at again: see [`due`](crate::due).
    pub fn due(&self) -> Option<Millis> {
        match self {
            Row::Customer(customer) => decide::due(customer),
            Row::Budget(_) | Row::Address(_) => None,
        }
    }
}
