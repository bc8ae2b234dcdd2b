//! The texts that a campaign version names: all of its messages, and nothing else.

use std::collections::BTreeSet;

use super::plan::Step;
use super::problem::Report;
use super::raw;

/// Each message of the steps has a version, and each version is of one.
pub(super) fn pins(campaign: &raw::Campaign, steps: &[Step], report: &mut Report<'_>) {
    let Some(written) = &campaign.templates else { return };
    let messages = steps.iter().flat_map(Step::messages);
    let wanted: BTreeSet<String> = messages.map(|(channel, template)| format!("{template}.{}", channel.name)).collect();
    for (name, version) in &written.value {
        if !wanted.contains(name) {
            let hint = "it is a template and a channel of one of the steps: `cart.email`";
            report.error_since(written.referenced, format!("no step has a message `{name}`"), hint);
        } else if !schemas::is_version(version) {
            let hint = "sixteen hexadecimal digits, as `cascade check --templates DIR --pins` prints them";
            report.error(written.referenced, format!("`{version}` is no version of a template"), hint);
        }
    }
    if let Some(name) = wanted.iter().find(|name| !written.value.contains_key(*name)) {
        let hint = "name all of them: `cascade check --templates DIR --pins` prints them";
        report.error_since(written.referenced, format!("which version of `{name}`?"), hint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    const STEPS: &str = "campaign: c\nversion: 1\ntrigger: {on: registration}\nexperiment: {variants: {a: 50, b: 50}}\n\
                         steps:\n  - {name: one, any: [push, email], template: {a: warm, b: short}}\n";

    fn said(pins: &str) -> String {
        match parse("c.yaml", &format!("{STEPS}templates: {{{pins}}}\n")) {
            Ok(_) => "right".to_owned(),
            Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    }

    #[test]
    fn a_version_of_a_campaign_names_the_texts_of_all_its_messages_or_of_none() {
        let all = "warm.push: 00000000000000aa, warm.email: 00000000000000ab, short.push: 00000000000000ac";
        assert_eq!(said(&format!("{all}, short.email: 00000000000000ad")), "right");
        assert!(said(all).contains("which version of `short.email`?"), "{}", said(all));
        let strange = format!("{all}, short.email: 00000000000000ad, short.sms: 00000000000000ad");
        assert!(said(&strange).contains("no step has a message `short.sms`"), "{}", said(&strange));
        let wrong = format!("{all}, short.email: latest");
        assert!(said(&wrong).contains("`latest` is no version of a template"), "{}", said(&wrong));
    }

    #[test]
    fn a_command_names_the_text_of_its_variant_and_channel() {
        let all = "warm.push: 00000000000000aa, warm.email: 00000000000000ab, short.push: 00000000000000ac";
        let yaml = format!("{STEPS}templates: {{{all}, short.email: 00000000000000ad}}\n");
        let plan = parse("c.yaml", &yaml).unwrap();
        let named = |variant, channel| plan.template(&plan.steps[0], Some(variant), channel);
        assert_eq!(named("a", "email"), "warm@00000000000000ab");
        assert_eq!(named("b", "push"), "short@00000000000000ac");
        let plan = parse("c.yaml", STEPS).unwrap();
        assert_eq!(plan.template(&plan.steps[0], Some("a"), "email"), "warm", "nothing is said without them");
    }
}
