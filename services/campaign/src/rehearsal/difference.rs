//! What was wanted beside what was found, line by line.

use super::timeline::Expected;

/// Beyond so many pairs of lines nobody looks for those that agree.
const PAIRS: usize = 1_000_000;

/// Shows both, where they differ: what agrees stands between.
pub(super) fn show(wanted: &[Expected], found: &[String]) -> String {
    let mut text = String::new();
    let (mut left, mut right) = (0, 0);
    let lengths = lengths(wanted, found);
    let agree = |left: usize, right: usize| wanted[left].decided == found[right];
    while left < wanted.len() || right < found.len() {
        let both = left < wanted.len() && right < found.len();
        if both && agree(left, right) {
            text.push_str(&format!("          {}\n", found[right]));
            (left, right) = (left + 1, right + 1);
        } else if right == found.len() || (both && lengths.at(left + 1, right) >= lengths.at(left, right + 1)) {
            text.push_str(&format!("  wanted  {}   (line {})\n", wanted[left].decided, wanted[left].line));
            left += 1;
        } else {
            text.push_str(&format!("  found   {}\n", found[right]));
            right += 1;
        }
    }
    text
}

/// The length of the longest common part from each pair of places on.
struct Lengths {
    width: usize,
    cells: Vec<usize>,
}

impl Lengths {
    fn at(&self, left: usize, right: usize) -> usize {
        self.cells.get(left * self.width + right).copied().unwrap_or(0)
    }
}

fn lengths(wanted: &[Expected], found: &[String]) -> Lengths {
    let width = found.len() + 1;
    if wanted.len().saturating_mul(width) > PAIRS {
        return Lengths { width, cells: Vec::new() };
    }
    let mut lengths = Lengths { width, cells: vec![0; (wanted.len() + 1) * width] };
    for left in (0..wanted.len()).rev() {
        for right in (0..found.len()).rev() {
            let length = match wanted[left].decided == found[right] {
                true => lengths.at(left + 1, right + 1) + 1,
                false => lengths.at(left + 1, right).max(lengths.at(left, right + 1)),
            };
            lengths.cells[left * width + right] = length;
        }
    }
    lengths
}
