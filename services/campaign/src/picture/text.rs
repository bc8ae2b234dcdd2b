//! The picture for a terminal: from top to bottom, at most 100 columns.

use crate::language::Plan;

use super::words;

const COLUMNS: usize = 100;

/// Draws a campaign as text.
pub fn text(plan: &Plan) -> String {
    let mut page = Page(String::new());
    page.write("", &words::title(plan));
    page.0.push('\n');
    let lines = words::trigger(&plan.trigger);
    for (index, line) in lines.iter().enumerate() {
        page.write(if index == 0 { "  " } else { "      " }, line);
    }
    match words::choice(plan.order) {
        None => in_order(plan, &mut page),
        Some(choice) => by_choice(plan, choice, &mut page),
    }
    page.write("  ", &format!("end: {}", words::END));
    exits(plan, &mut page);
    page.0
}

/// Each step leads on to the one below it.
fn in_order(plan: &Plan, page: &mut Page) {
    page.arrow("");
    for (index, step) in plan.steps.iter().enumerate() {
        page.write("  ", &format!("{}. {}: {}", index + 1, step.name, words::message(step)));
        for line in words::step(step) {
            page.write("      ", &line);
        }
        let is_last = index + 1 == plan.steps.len();
        page.arrow(if is_last { String::new() } else { words::leads_on(step) }.as_str());
    }
}

/// Each step leads back to the choice.
fn by_choice(plan: &Plan, choice: &str, page: &mut Page) {
    page.arrow("");
    page.write("  ", choice);
    for step in &plan.steps {
        page.write("   │  ", "");
        page.write("   ├─ ", &format!("{}: {}", step.name, words::message(step)));
        for line in words::step(step) {
            page.write("   │      ", &line);
        }
        page.write("   │      ", &format!("back to the choice if: {}", words::leads_on(step)));
    }
    page.arrow("none is left");
}

/// What ends a cascade at any time.
fn exits(plan: &Plan, page: &mut Page) {
    page.0.push('\n');
    page.write("  ", "At any time:");
    if let Some(stop) = words::stop(plan.stop) {
        page.write("   ──▶ stop: ", stop);
    }
    if let Some(goal) = &plan.goal {
        page.write("   ──▶ goal: ", &words::goal(goal));
    }
    page.write("   ──▶ end: ", "a wait is over and nothing that leads on is true");
}

struct Page(String);

impl Page {
    fn arrow(&mut self, label: &str) {
        self.write("   │ ", label);
        self.write("   ▼", "");
    }

    /// Writes words behind a margin; what is too long goes on in further lines.
    fn write(&mut self, margin: &str, text: &str) {
        let room = COLUMNS - margin.chars().count();
        let mut line = String::new();
        for word in pieces(text, room) {
            let length = line.chars().count();
            if length > 0 && length + 1 + word.chars().count() > room {
                self.line(margin, &line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        self.line(margin, &line);
    }

    fn line(&mut self, margin: &str, text: &str) {
        self.0.push_str(format!("{margin}{text}").trim_end());
        self.0.push('\n');
    }
}

/// Words, none of which is wider than the room.
fn pieces(text: &str, room: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    for word in text.split_whitespace() {
        let signs: Vec<char> = word.chars().collect();
        pieces.extend(signs.chunks(room).map(|piece| piece.iter().collect::<String>()));
    }
    pieces
}
