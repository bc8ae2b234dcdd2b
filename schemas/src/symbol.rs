//! Enums whose symbols are written once.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, VariantAccess, Visitor};

/// Declares an enum together with its Avro symbols, so that what is serialised, printed and put into labels is one word.
/// The first variant is the default: what a reader makes of a symbol that it does not know.
macro_rules! symbols {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $(#[$first_meta:meta])*
            $first:ident = $first_symbol:literal,
            $($(#[$variant_meta:meta])* $variant:ident = $symbol:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[$first_meta])*
            #[default]
            $first,
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// Every variant, in the order of the schema's symbols.
            pub const ALL: &'static [Self] = &[Self::$first, $(Self::$variant,)*];

            /// The symbol, as it stands in the schema, in JSON and in labels.
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_symbol,
                    $(Self::$variant => $symbol,)*
                }
            }

            /// The variant of a symbol; the default for one that is not known (yet).
            pub fn of(symbol: &str) -> Self {
                match symbol {
                    $($symbol => Self::$variant,)*
                    _ => Self::$first,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_unit_variant(stringify!($name), *self as u32, self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let symbols = &[$first_symbol, $($symbol,)*];
                deserializer.deserialize_enum(stringify!($name), symbols, crate::symbol::Symbol { of: Self::of, all: Self::ALL })
            }
        }
    };
}

pub(crate) use symbols;

/// Takes a symbol and makes the variant of it: derived code would refuse one that it does not know.
pub(crate) struct Symbol<T: 'static> {
    pub(crate) of: fn(&str) -> T,
    pub(crate) all: &'static [T],
}

impl<'de, T: Copy> Visitor<'de> for Symbol<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a symbol")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<T, A::Error> {
        let (value, rest) = data.variant_seed(self)?;
        rest.unit_variant()?;
        Ok(value)
    }

    fn visit_str<E: Error>(self, symbol: &str) -> Result<T, E> {
        Ok((self.of)(symbol))
    }

    fn visit_u64<E: Error>(self, index: u64) -> Result<T, E> {
        let found = usize::try_from(index).ok().and_then(|index| self.all.get(index));
        found.copied().ok_or_else(|| E::custom("there is no such symbol"))
    }
}

impl<'de, T: Copy> DeserializeSeed<'de> for Symbol<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}
