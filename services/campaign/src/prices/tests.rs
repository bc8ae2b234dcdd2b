//! Which of several prices holds.

use super::*;

const TABLE: &str = "
currency: USD
prices:
  - {channel: email, minor: 0}
  - {channel: sms, minor: 5}
  - {channel: sms, prefix: '+7', minor: 4}
  - {channel: sms, prefix: '+7', minor: 6, from: 2026-12-01}
  - {channel: sms, prefix: '7912', minor: 3, charge: on delivery}
  - {channel: sms, prefix: '7913', minor: 2, from: 2026-12-01T00:00+03:00}
  - {channel: call, prefix: '44', minor: 9}
";

/// 2026-12-01T00:00Z.
const DECEMBER: Millis = 1_796_083_200_000;

#[test]
fn the_longest_prefix_holds_and_of_that_the_latest() {
    let prices = Prices::parse("prices.yaml", TABLE).unwrap();
    let before = DECEMBER - 1;
    let cases = [
        ("sms", "+15550100", before, Some(5)),
        ("sms", "+79998887766", before, Some(4)),
        ("sms", "+79998887766", DECEMBER, Some(6)),
        ("sms", "79998887766", DECEMBER, Some(6)),
        ("sms", "+7 (912) 888-77-66", before, Some(3)),
        ("sms", "+79128887766", DECEMBER, Some(3)),
        // Until its own price begins, the country's holds.
        ("sms", "+79138887766", DECEMBER - 3 * 3_600_000 - 1, Some(4)),
        ("sms", "+79138887766", DECEMBER - 3 * 3_600_000, Some(2)),
        ("sms", "79128887766@sms.example", before, Some(5)),
        ("sms", "+7", before, Some(4)),
        ("sms", "", before, Some(5)),
        ("call", "+4420", before, Some(9)),
        ("call", "+4920", before, None),
        ("email", "79128887766@shop.example", before, Some(0)),
        ("viber", "+79128887766", before, None),
    ];
    for (channel, address, now, wanted) in cases {
        let price = prices.price(Channel::find(channel).unwrap(), address, now);
        assert_eq!(price.map(|price| price.minor), wanted, "{channel} {address} {now}");
    }
    let charge = |address| prices.price(Channel::find("sms").unwrap(), address, before).unwrap().charge;
    assert_eq!((charge("+7912"), charge("+7999")), (Charge::OnDelivery, Charge::OnSubmit));
}

#[test]
fn the_dearest_price_from_a_moment_on_is_one_that_will_hold() {
    let prices = Prices::parse("prices.yaml", TABLE).unwrap();
    let before = DECEMBER - 1;
    let cases = [
        // The country's is dearer in December; but the operator's own holds for its numbers.
        ("sms", "+79998887766", before, Some(6)),
        ("sms", "+79998887766", DECEMBER, Some(6)),
        ("sms", "+79128887766", before, Some(3)),
        // The country's holds for a moment longer than the operator's cheaper one begins.
        ("sms", "+79138887766", DECEMBER - 3 * 3_600_000 - 1, Some(4)),
        ("sms", "+79138887766", DECEMBER, Some(2)),
        ("sms", "+15550100", before, Some(5)),
        ("call", "+4920", before, None),
        ("viber", "+79128887766", before, None),
    ];
    for (channel, address, at, wanted) in cases {
        let price = prices.dearest_from(Channel::find(channel).unwrap(), address, at);
        assert_eq!(price.map(|price| price.minor), wanted, "{channel} {address} {at}");
    }
    let later = "currency: USD\nprices: [{channel: sms, minor: 4, from: 2026-12-01}, {channel: sms, minor: 1, from: 2026-12-02}]\n";
    let prices = Prices::parse("prices.yaml", later).unwrap();
    let dearest = |at| prices.dearest_from(Channel::find("sms").unwrap(), "", at).map(|price| price.minor);
    assert_eq!([dearest(before), dearest(DECEMBER), dearest(DECEMBER + 86_400_000)], [Some(4), Some(4), Some(1)]);
}

#[test]
fn each_mistake_is_told_with_its_place() {
    let mistakes = [
        ("{channel: email, prefix: '+7', minor: 1}", "addresses on email are no telephone numbers"),
        ("{channel: sms, prefix: seven, minor: 1}", "no telephone number begins with `seven`"),
        ("{channel: sms, prefix: '+', minor: 1}", "no telephone number begins with `+`"),
        ("{channel: sms, prefix: '1234567890123456', minor: 1}", "no telephone number begins with"),
        ("{channel: sms, minor: 1, from: tomorrow}", "this is neither a date nor a moment"),
        ("{channel: sms, minor: 1, from: 2026-02-30}", "this is neither a date nor a moment"),
        ("{channel: sms, minor: 1, charge: never}", "`never` is no moment to charge at"),
        ("{channel: sms, minor: 1}, {channel: sms, minor: 2}", "this channel stands here twice"),
        (
            "{channel: sms, minor: 1, prefix: '7'}, {channel: sms, minor: 2, prefix: '+7'}",
            "this channel stands here twice",
        ),
    ];
    for (wrong, wanted) in mistakes {
        let table = format!("currency: USD\nprices: [{wrong}]\n");
        let problems = Prices::parse("prices.yaml", &table).expect_err(wrong);
        let [problem] = problems.as_slice() else { panic!("{wrong}: {} problems", problems.len()) };
        assert!(problem.message.starts_with(wanted), "{}", problem.message);
    }
}
