//! The devices of one address. An address of a push channel is one token (or subscription), or a JSON list of them: `["…","…"]`. Those who
//! call them and those who know them again after an erasure must agree on which they are: both ask here.

use serde_json::Value;

/// Calls that one message may come to. Of more devices the last count: whoever appends what is new has them there.
pub const MAX: usize = 16;

/// The devices of an address.
pub fn of(address: &str) -> Vec<String> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        // A subscription of a browser is an object.
        other => other.to_string(),
    };
    match serde_json::from_str(address) {
        Ok(Value::Array(list)) => {
            let superfluous = list.len().saturating_sub(MAX);
            list.into_iter().skip(superfluous).map(text).collect()
        }
        _ => vec![address.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_device_or_a_list_of_them() {
        assert_eq!(of("token"), ["token"]);
        assert_eq!(of(r#"["a","b"]"#), ["a", "b"]);
        assert_eq!(of(r#"{"endpoint":"x"}"#), [r#"{"endpoint":"x"}"#]);
        assert_eq!(of(r#"[{"endpoint":"x"},{"endpoint":"y"}]"#), [r#"{"endpoint":"x"}"#, r#"{"endpoint":"y"}"#]);
        let many: Vec<String> = (0..MAX + 2).map(|number| number.to_string()).collect();
        assert_eq!(of(&serde_json::to_string(&many).unwrap()), many[2..]);
    }
}
