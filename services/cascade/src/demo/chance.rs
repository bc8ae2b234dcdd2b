//! Dice that always fall the same way: what a rule leaves to chance depends on the seed, on whom it is asked about and on the
//! question, and on nothing else. So two runs with one seed live through the same year, in whatever order they ask.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Seeded dice. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Dice with this seed.
    pub fn seeded(seed: u64) -> Self {
        Chance(seed)
    }

    /// True in so many of a thousand cases.
    pub fn happens(self, per_mille: u64, about: &str, question: &str) -> bool {
        self.draw(about, question) % 1000 < per_mille
    }

    /// A number from `low` to `high`, both included. Small ones are more likely than large ones, as waiting times are: half of
    /// them lie in the first quarter.
    pub fn delay(self, low: i64, high: i64, about: &str, question: &str) -> i64 {
        let thousandths = (self.draw(about, question) % 1001).cast_signed();
        low + (high - low) * thousandths * thousandths / 1_000_000
    }

    /// A number from `low` to `high`, both included, each as likely as the others.
    pub fn between(self, low: i64, high: i64, about: &str, question: &str) -> i64 {
        let span = high.abs_diff(low) + 1;
        low.saturating_add_unsigned(self.draw(about, question) % span)
    }

    fn draw(self, about: &str, question: &str) -> u64 {
        let mut words = Vec::with_capacity(about.len() + question.len() + 1);
        words.extend_from_slice(about.as_bytes());
        words.push(0);
        words.extend_from_slice(question.as_bytes());
        xxh3_64_with_seed(&words, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_question_has_the_same_answer_and_another_seed_another_one() {
        let ask = |seed| (0..64).map(|n| Chance::seeded(seed).happens(500, &n.to_string(), "rain")).collect::<Vec<_>>();
        assert_eq!(ask(1), ask(1));
        assert_ne!(ask(1), ask(2));
    }

    #[test]
    fn rates_and_ranges_are_kept() {
        let chance = Chance::seeded(7);
        let hits = (0..10_000).filter(|n| chance.happens(300, &n.to_string(), "opened")).count();
        assert!((2_800..3_200).contains(&hits), "{hits}");
        for n in 0..1_000 {
            assert!((5..=9).contains(&chance.between(5, 9, &n.to_string(), "a")));
            assert!((5..=9).contains(&chance.delay(5, 9, &n.to_string(), "a")));
        }
    }
}
