//! Whatever a file holds, reading it ends, and says why. The functions are those of the fuzz targets (`tests/fuzz.sh`), which
//! search longer.

#[path = "../../../tests/fuzz/src/readers.rs"]
mod readers;
mod world;

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

/// The texts of all examples that end so.
fn examples(extension: &str) -> Vec<String> {
    let campaigns = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/campaigns");
    let directories = ["", "scenarios", "timelines"].map(|it| campaigns.join(it));
    let files = directories.iter().flat_map(|directory| world::files(directory, extension));
    files.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// What is put into a text that was right: pieces of grammar, numbers that overflow, letters of more than one byte.
const PIECES: [&str; 24] = [
    "",
    " ",
    "\n",
    "  - ",
    ": ",
    "'",
    "\"",
    "{",
    "]",
    "#",
    "&a ",
    "*a",
    "!!int ",
    "%",
    "\t",
    "0",
    "-1",
    "99999999999999999999",
    "9223372036854775807",
    "400d",
    "ж",
    "\u{1f600}",
    "\0",
    "next monday 25:61",
];

/// An example in which some places were replaced.
fn damaged(extension: &'static str) -> impl Strategy<Value = String> {
    let places = prop::collection::vec((any::<Index>(), 0..6_usize, prop::sample::select(&PIECES[..])), 1..4);
    (prop::sample::select(examples(extension)), places).prop_map(|(text, places)| {
        places.into_iter().fold(text, |text, (at, width, piece)| {
            let letters: Vec<char> = text.chars().collect();
            let at = at.index(letters.len().max(1));
            let (head, tail) = letters.split_at(at.min(letters.len()));
            head.iter().collect::<String>() + piece + &tail.iter().skip(width).collect::<String>()
        })
    })
}

/// Expressions made of what expressions are made of.
fn expression() -> impl Strategy<Value = String> {
    const WORDS: [&str; 31] = [
        "total_minor",
        "cart_id",
        "items",
        "profile.attributes.city",
        "profile.",
        "i.sku",
        "did('purchase', 30)",
        "was_in('c')",
        "days_until(",
        "items.exists(i, ",
        "items.all(i, ",
        "size(",
        "int(",
        "has(",
        "(",
        ")",
        " && ",
        " || ",
        "!",
        "-",
        " + ",
        " * ",
        " / ",
        " % ",
        " == ",
        " in ",
        "[",
        "]",
        "9223372036854775807",
        "'2000-02-29'",
        " ? 1 : ",
    ];
    prop::collection::vec(prop::sample::select(&WORDS[..]), 1..14).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn campaigns_that_are_damaged_are_survived(text in damaged("yaml")) {
        readers::campaign(&text);
        readers::prices(&text);
    }

    #[test]
    fn timelines_that_are_damaged_are_survived(text in damaged("timeline")) {
        readers::timeline(&text);
    }

    #[test]
    fn conditions_of_any_kind_are_survived(text in expression()) {
        readers::condition(&text);
    }

    #[test]
    fn arbitrary_texts_are_survived(text in ".{0,200}") {
        readers::campaign(&text);
        readers::prices(&text);
        readers::condition(&text);
        readers::timeline(&text);
        readers::row(text.as_bytes());
    }
}

/// Nesting, repetition and aliases are how a small text takes much time, stack or memory.
#[test]
fn texts_that_grow_when_they_are_read_are_refused() {
    let bomb = (1..20).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, level| {
        let before = level - 1;
        text + &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 9].join(", "))
    });
    for text in [bomb, "[".repeat(100_000), "{a: ".repeat(50_000), "- ".repeat(50_000), "a".repeat(1_000_000)] {
        readers::campaign(&text);
        readers::prices(&text);
    }
    for text in
        ["(".repeat(100_000), "!".repeat(100_000), "a.".repeat(50_000), "1 + ".repeat(50_000), "-".repeat(100_000)]
    {
        readers::condition(&text);
    }
    for text in ["\"".repeat(100_001), "0 has email\n".repeat(20_000), "0 does x ".to_owned() + &"a=b ".repeat(1_000)] {
        readers::timeline(&text);
    }
}
