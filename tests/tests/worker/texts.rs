//! A campaign that names its texts: what it says does not change by an edit, and no worker says anything else meanwhile.

use std::fs;

use system_tests::installation::{Installation, Plan};
use system_tests::wait::until;

const CAMPAIGN: &str = "campaign: pinned
version: 1
trigger: {on: registration}
steps:
  - {name: first, channel: push, template: welcome, valid: 1d}
";

#[test]
fn an_edit_changes_nothing_of_what_a_campaign_says_that_names_its_texts() {
    let templates = ["welcome.push".to_owned()];
    let plan = Plan { plain_templates: &templates, ..Plan::new("texts", &[CAMPAIGN], &["push"]) };
    let mut shop = Installation::start(&plan);
    let (directory, file) = (shop.place.path("templates"), shop.place.path("pinned.yaml"));
    fs::write(&file, CAMPAIGN.replace("version: 1", "version: 2")).expect("it can be written");
    let pins = shop.tool(["check", "--templates", path(&directory), "--pins", path(&file)]);
    let pins = &pins[pins.find("templates:").expect(&pins)..];
    fs::write(&file, CAMPAIGN.replace("version: 1", "version: 2") + pins).expect("it can be written");
    shop.tool(["campaign", "apply", path(&file)]);
    shop.settle();
    let welcome = |shop: &Installation, customer: &str| {
        shop.customer(customer, &["push"]);
        // Two topics have no order between them.
        shop.settle_intake();
        shop.registration(customer);
        shop.feed.flush();
    };
    welcome(&shop, "ann");
    shop.settle();
    assert_eq!(shop.message("ann", "push").text, "welcome.push");

    fs::write(directory.join("welcome.push.txt"), "other words").expect("it can be written");
    shop.restart("channel push");
    welcome(&shop, "bea");
    until("it is told that a text is another one", || {
        shop.services["channel push"].metric_with("cascade_other_texts_total", "template=\"welcome\"") > 0.0
    });
    assert_eq!(shop.received(), ["push to ann-push"]);

    let earlier = directory.join("earlier/before");
    fs::create_dir_all(&earlier).expect("it can be written");
    fs::write(earlier.join("welcome.push.txt"), "welcome.push").expect("it can be written");
    shop.restart("channel push");
    shop.settle();
    assert_eq!(shop.message("bea", "push").text, "welcome.push");
}

fn path(path: &std::path::Path) -> &str {
    path.to_str().expect("a path of a test is text")
}
