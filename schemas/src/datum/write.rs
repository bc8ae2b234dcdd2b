//! From struct to bytes.

use serde::ser::{Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use super::Unfit;

/// Appends to bytes.
pub(super) struct Writer<'b> {
    pub(super) bytes: &'b mut Vec<u8>,
}

impl Writer<'_> {
    fn long(&mut self, value: i64) {
        // The sign goes to the end, so that numbers near zero are short.
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while rest >= 0x80 {
            self.bytes.push(low(rest) | 0x80);
            rest >>= 7;
        }
        self.bytes.push(low(rest));
    }

    fn length(&mut self, length: usize) -> Result<(), Unfit> {
        self.long(i64::try_from(length).map_err(|_| Unfit)?);
        Ok(())
    }

    fn prefixed(&mut self, value: &[u8]) -> Result<(), Unfit> {
        self.length(value.len())?;
        self.bytes.extend_from_slice(value);
        Ok(())
    }
}

/// The seven lowest bits.
fn low(value: u64) -> u8 {
    (value & 0x7f).to_le_bytes()[0]
}

/// Methods for what no record of ours has.
macro_rules! none_has {
    ($($method:ident($($argument:ty),*) -> $result:ty;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$result, Unfit> {
            Err(Unfit)
        })*
    };
}

impl<'w, 'b> Serializer for &'w mut Writer<'b> {
    type Ok = ();
    type Error = Unfit;
    type SerializeSeq = Block<'w, 'b>;
    type SerializeMap = Block<'w, 'b>;
    type SerializeStruct = Self;
    type SerializeTuple = Impossible<(), Unfit>;
    type SerializeTupleStruct = Impossible<(), Unfit>;
    type SerializeTupleVariant = Impossible<(), Unfit>;
    type SerializeStructVariant = Impossible<(), Unfit>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), Unfit> {
        self.bytes.push(u8::from(value));
        Ok(())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Unfit> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Unfit> {
        self.long(value);
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<(), Unfit> {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Unfit> {
        self.prefixed(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unfit> {
        self.prefixed(value)
    }

    fn serialize_none(self) -> Result<(), Unfit> {
        self.serialize_i64(0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unfit> {
        self.long(1);
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), Unfit> {
        self.serialize_i64(index.into())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unfit> {
        self.long(index.into());
        value.serialize(self)
    }

    fn serialize_seq(self, items: Option<usize>) -> Result<Block<'w, 'b>, Unfit> {
        Block::begin(self, items)
    }

    fn serialize_map(self, items: Option<usize>) -> Result<Block<'w, 'b>, Unfit> {
        Block::begin(self, items)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Unfit> {
        Ok(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Unfit> {
        value.serialize(self)
    }

    none_has! {
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}

/// The items of an array or a map: one block, with as many as were announced.
pub(super) struct Block<'w, 'b> {
    writer: &'w mut Writer<'b>,
    left: usize,
}

impl<'w, 'b> Block<'w, 'b> {
    fn begin(writer: &'w mut Writer<'b>, items: Option<usize>) -> Result<Self, Unfit> {
        let left = items.ok_or(Unfit)?;
        if left > 0 {
            writer.length(left)?;
        }
        Ok(Block { writer, left })
    }

    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Unfit> {
        self.left = self.left.checked_sub(1).ok_or(Unfit)?;
        item.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Unfit> {
        self.writer.bytes.push(0);
        if self.left == 0 { Ok(()) } else { Err(Unfit) }
    }
}

impl SerializeSeq for Block<'_, '_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        self.item(value)
    }

    fn end(self) -> Result<(), Unfit> {
        Block::end(self)
    }
}

impl SerializeMap for Block<'_, '_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unfit> {
        self.item(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Unfit> {
        Block::end(self)
    }
}

impl SerializeStruct for &mut Writer<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Unfit> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Unfit> {
        Ok(())
    }
}
