//! The picture for documents: a flowchart in Mermaid's language.

use crate::language::Plan;

use super::words;

/// Draws a campaign as the source of a Mermaid flowchart.
pub fn mermaid(plan: &Plan) -> String {
    let mut lines = vec!["flowchart TD".to_owned(), format!("  trigger([{}])", label(&words::trigger(&plan.trigger)))];
    lines.push(format!("  subgraph cascade [{}]", label(&[words::title(plan)])));
    for (index, step) in plan.steps.iter().enumerate() {
        let mut about = vec![format!("{}: {}", step.name, words::message(step))];
        about.extend(words::step(step));
        lines.push(format!("    step{}[{}]", index + 1, label(&about)));
    }
    match words::choice(plan.order) {
        None => in_order(plan, &mut lines),
        Some(choice) => by_choice(plan, choice, &mut lines),
    }
    lines.push("  end".to_owned());
    exits(plan, &mut lines);
    lines.join("\n") + "\n"
}

fn in_order(plan: &Plan, lines: &mut Vec<String>) {
    for (index, step) in plan.steps.iter().enumerate().take(plan.steps.len().saturating_sub(1)) {
        let on = label(&[words::leads_on(step)]);
        lines.push(format!("    step{} -->|{on}| step{}", index + 1, index + 2));
    }
}

fn by_choice(plan: &Plan, choice: &str, lines: &mut Vec<String>) {
    lines.push(format!("    choice{{{{{}}}}}", label(&[choice.to_owned()])));
    for (index, step) in plan.steps.iter().enumerate() {
        let on = label(&[words::leads_on(step)]);
        lines.push(format!("    choice --> step{}", index + 1));
        lines.push(format!("    step{} -->|{on}| choice", index + 1));
    }
}

/// The way in and all ways out.
fn exits(plan: &Plan, lines: &mut Vec<String>) {
    let otherwise = label(&[words::OTHERWISE.to_owned()]);
    let ordered = words::choice(plan.order).is_none();
    lines.push(format!("  trigger --> {}", if ordered { "step1" } else { "choice" }));
    lines.push(format!("  finish([{}])", label(&[format!("end: {}", words::END)])));
    if !ordered {
        lines.push(format!("  choice -->|{}| finish", label(&["none is left".to_owned()])));
    }
    for index in 1..=plan.steps.len() {
        let is_last = ordered && index == plan.steps.len();
        let edge = if is_last { String::new() } else { format!("|{otherwise}|") };
        lines.push(format!("  step{index} -->{edge} finish"));
    }
    if let Some(stop) = words::stop(plan.stop) {
        lines.push(format!("  cascade -.-> stop([{}])", label(&[format!("stop: {stop}")])));
    }
    if let Some(goal) = &plan.goal {
        lines.push(format!("  cascade -.-> goal([{}])", label(&[format!("goal: {}", words::goal(goal))])));
    }
}

/// Lines in quotes. What Mermaid or a browser would read as its own is written by its number.
fn label(lines: &[String]) -> String {
    let mut text = String::from("\"");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            text.push_str("<br/>");
        }
        for sign in line.chars() {
            match sign {
                '"' | '#' | '<' | '>' | '&' | '`' | '\\' => text.push_str(&format!("#{};", u32::from(sign))),
                sign if sign.is_whitespace() => text.push(' '),
                sign => text.push(sign),
            }
        }
    }
    text.push('"');
    text
}
