//! What is news, what is refused, and what the state of a campaign is; on records instead of a topic.

use super::documents::understand;
use schemas::CampaignKind;

use super::*;

const NOW: Millis = 1_772_452_800_000;

fn definition(version: i32, template: &str) -> String {
    format!(
        "campaign: order-ready\nversion: {version}\ntrigger:\n  on: action\n  action: order_ready\n\
         steps:\n  - name: tell\n    channel: push\n    template: {template}\n"
    )
}

fn document(version: i32, template: &str) -> Document {
    understand("order-ready.yaml", definition(version, template)).unwrap()
}

fn prices(minor: i64) -> Document {
    let text = format!("currency: USD\nprices:\n  - channel: sms\n    minor: {minor}\n");
    understand("prices.yaml", text).unwrap()
}

fn book(documents: Vec<Document>) -> Book {
    Book::of(documents.into_iter().map(|document| document.into_record(NOW)).collect())
}

fn state(campaign: &str, kind: CampaignKind) -> Campaign {
    Campaign { campaign: campaign.to_owned(), kind, ..Campaign::default() }
}

fn files(path: PathBuf) -> Files {
    Files { paths: vec![path], templates: None, pins: false, prices: None }
}

#[test]
fn a_new_version_is_published_and_the_same_text_again_is_not() {
    let mut book = book(vec![document(1, "first")]);
    let (records, lines) = news(&mut book, vec![document(1, "first"), document(2, "second")], NOW).unwrap();
    assert_eq!(lines, ["campaign order-ready version 1: unchanged\n", "campaign order-ready version 2: applied\n"]);
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].version, records[0].applied_at), (2, NOW));
    assert_eq!(records[0].definition, definition(2, "second"));
}

#[test]
fn what_looks_back_to_before_anything_is_remembered_is_warned_of_once() {
    let of = |version: i32| {
        let text = definition(version, "t")
            .replace("  action: order_ready\n", "  action: order_ready\n  where: \"!did('visit', 90)\"\n");
        understand("order-ready.yaml", text).unwrap()
    };
    let (_, lines) = news(&mut book(Vec::new()), vec![of(1)], NOW).unwrap();
    assert!(lines[0].starts_with("warning: the condition looks 90 days back, but actions `visit`"), "{lines:?}");
    assert!(lines[0].ends_with("campaign order-ready version 1: applied\n"), "{lines:?}");
    let (_, lines) = news(&mut book(vec![of(1)]), vec![of(2)], NOW).unwrap();
    assert_eq!(lines, ["campaign order-ready version 2: applied\n"]);
}

#[test]
fn a_version_with_another_text_is_refused_and_nothing_is_applied() {
    let mut book = book(vec![document(3, "first")]);
    let failure = news(&mut book, vec![prices(4), document(3, "second")], NOW).unwrap_err();
    assert_eq!(failure.exit, Exit::Campaign);
    assert!(failure.sentence.contains("make it version 4"), "{failure}");
    assert!(failure.sentence.contains("nothing was applied"), "{failure}");
}

#[test]
fn a_version_below_the_one_in_force_is_refused() {
    let mut book = book(vec![document(3, "first")]);
    let failure = news(&mut book, vec![document(2, "second")], NOW).unwrap_err();
    assert!(failure.sentence.contains("version 2 of order-ready is older than version 3"), "{failure}");
}

#[test]
fn two_files_with_one_version_of_a_campaign_contradict_each_other() {
    assert!(news(&mut book(Vec::new()), vec![document(1, "first"), document(1, "second")], NOW).is_err());
}

#[test]
fn a_campaign_that_closes_a_ring_with_one_in_force_is_refused() {
    let upon = |name: &str, of: &str| {
        let text = format!(
            "campaign: {name}\nversion: 1\ntrigger: {{on: end, of: {of}, ended: stop}}\n\
             steps: [{{name: a, channel: push, template: t}}]\n"
        );
        understand(&format!("{name}.yaml"), text).unwrap()
    };
    let mut in_force = book(vec![upon("one", "other")]);
    let failure = news(&mut in_force, vec![upon("other", "one")], NOW).unwrap_err();
    assert_eq!(failure.exit, Exit::Campaign);
    assert!(failure.sentence.contains("other -> one -> other\n --> other.yaml:3:"), "{failure}");
    assert!(failure.sentence.ends_with("nothing was applied"), "{failure}");
    assert_eq!(news(&mut in_force, vec![upon("third", "one")], NOW).unwrap().0.len(), 1);
    // What is stopped begins with nobody.
    let mut stopped = book(vec![upon("one", "other")]);
    stopped.say(&Campaign { applied_at: NOW, ..state("one", CampaignKind::Stopped) }).unwrap();
    assert_eq!(news(&mut stopped, vec![upon("other", "one")], NOW).unwrap().0.len(), 1);
}

#[test]
fn a_price_table_is_news_only_if_it_says_something_else() {
    let mut book = book(vec![prices(4)]);
    let (records, _) = news(&mut book, vec![prices(4)], NOW).unwrap();
    assert!(records.is_empty());
    let (records, _) = news(&mut book, vec![prices(5)], NOW).unwrap();
    assert_eq!((records[0].kind, records[0].campaign.as_str()), (CampaignKind::Prices, ""));
}

#[test]
fn problems_of_all_files_are_told_with_their_places() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.yaml"), definition(1, "first").replace("push", "pusch")).unwrap();
    std::fs::write(dir.path().join("b.yaml"), definition(1, "first").replace("trigger", "tirgger")).unwrap();
    let failure = check(&files(dir.path().to_owned())).unwrap_err();
    assert_eq!(failure.exit, Exit::Campaign);
    for place in ["a.yaml:8:", "b.yaml:3:", "2 problems"] {
        assert!(failure.sentence.contains(place), "{place} is missing in\n{failure}");
    }
}

#[test]
fn files_that_contradict_each_other_are_refused_together() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.yaml"), definition(1, "first")).unwrap();
    std::fs::write(dir.path().join("b.yaml"), definition(1, "second")).unwrap();
    let failure = check(&files(dir.path().to_owned())).unwrap_err();
    assert_eq!(failure.exit, Exit::Campaign);
    assert!(failure.sentence.contains("b.yaml:2:10") && failure.sentence.contains("a.yaml, too"), "{failure}");
}

#[test]
fn what_a_cascade_costs_is_said_where_a_price_table_is_at_hand() {
    let dir = tempfile::tempdir().unwrap();
    let (file, table) = (dir.path().join("a.yaml"), dir.path().join("prices.yaml"));
    std::fs::write(&file, definition(1, "first").replace("push", "sms")).unwrap();
    std::fs::write(&table, "currency: USD\nprices: [{channel: sms, minor: 4}]\n").unwrap();
    let said = |paths: &[PathBuf], table: Option<&Path>| {
        check(&Files { paths: paths.to_vec(), templates: None, pins: false, prices: table.map(Path::to_owned) })
            .unwrap()
    };
    assert!(!said(std::slice::from_ref(&file), None).contains("costs"));
    let costs = "campaign order-ready version 1 costs at most 4 minor units of USD";
    assert!(said(std::slice::from_ref(&file), Some(&table)).contains(costs));
    assert!(said(&[file.clone(), table], None).contains(costs));
    assert_eq!(check(&Files { prices: Some(file.clone()), ..files(file) }).unwrap_err().exit, Exit::Campaign);
}

#[test]
fn a_missing_file_has_an_exit_code_of_its_own() {
    let failure = check(&files(PathBuf::from("no-such.yaml"))).unwrap_err();
    assert_eq!(failure.exit, Exit::Input);
}

#[test]
fn a_new_version_starts_a_stopped_campaign_again_and_leaves_a_paused_one_paused() {
    let table_after = |kind| {
        let mut book = book(vec![document(1, "first")]);
        book.say(&Campaign { applied_at: NOW, ..state("order-ready", kind) }).unwrap();
        book.say(&document(2, "second").into_record(NOW)).unwrap();
        life::table(&book)
    };
    assert!(table_after(CampaignKind::Stopped).contains("running"));
    assert!(table_after(CampaignKind::Paused).contains("paused since"));
}

#[test]
fn a_migration_is_shown_before_it_is_done() {
    let book = book(vec![document(1, "first"), document(2, "second")]);
    let args = |from, to| Migrate { name: "order-ready".into(), from, to, map: Vec::new(), dry_run: false, yes: false };
    let preview = life::preview(&book, &args(1, 2)).unwrap();
    assert!(preview.contains("template first"), "{preview}");
    assert_eq!(life::preview(&book, &args(1, 3)).unwrap_err().exit, Exit::Campaign);
}

#[test]
fn a_migration_says_how_many_stand_where_and_what_becomes_of_them() {
    let of = |version: i32, stop: &str, names: [&str; 2]| {
        let steps: String =
            names.iter().map(|name| format!("  - {{name: {name}, channel: push, template: t, wait: 1h}}\n")).collect();
        let trigger = "{on: action, action: order_ready, settle: 1h}";
        let text =
            format!("campaign: order-ready\nversion: {version}\ntrigger: {trigger}\nstop: {stop}\nsteps:\n{steps}");
        understand("order-ready.yaml", text).unwrap()
    };
    let book = book(vec![of(1, "clicked", ["one", "two"]), of(2, "opened", ["one", "three"])]);
    let map = vec![("two".to_owned(), String::new())];
    let args = Migrate { name: "order-ready".into(), from: 1, to: 2, map, dry_run: false, yes: false };
    let begun = "0 has push\n0 does order_ready\n";
    let lives = |happens: &str| {
        let mut plans = campaign::Plans::default();
        plans.apply(&of(1, "clicked", ["one", "two"]).into_record(0)).unwrap();
        let timeline = campaign::rehearsal::Timeline::parse("line", &format!("{begun}{happens}")).unwrap();
        timeline.play(plans).unwrap().customer
    };
    let told = |lives: &[schemas::Customer]| {
        let mut moving = moving::Moving::of(book.plans(), life::record(&args, NOW)).unwrap();
        lives.iter().for_each(|customer| moving.look(campaign::rehearsal::CUSTOMER, customer));
        moving.told()
    };
    assert_eq!(told(&[schemas::Customer::default()]), "no cascade of version 1 runs\n");
    let standing =
        ["", "1h time passes", "1h time passes", "2h time passes", "2h opened two", "2h clicked two"].map(lives);
    assert_eq!(
        told(&standing),
        "running cascades of version 1:\n  1 before its first step -> still before its first step\n  \
         2 at step one -> at step one\n  1 at step two -> on with what comes next\n  1 at step two -> ended\n"
    );
    assert!(standing[4].instances.iter().all(|instance| instance.version == 1), "only copies have moved");
}

/// A launch at `NOW`.
fn sale(version: i32, text: &str) -> Document {
    let trigger = "{on: schedule, at: 2026-03-02T12:00Z, pace: 10, max_age: 1h}";
    let definition = format!(
        "campaign: sale\nversion: {version}\ntrigger: {trigger}\ngoal: {{action: purchase}}\n\
         steps:\n  - {{name: tell, channel: push, template: {text}}}\n"
    );
    understand("sale.yaml", definition).unwrap()
}

#[test]
fn a_launch_that_would_leave_out_whom_it_meets_too_late_is_refused() {
    let asked = |largest: u64, now: Millis| {
        let (plans, name) = base::planned(&book(Vec::new()), &sale(1, "t"), now).unwrap();
        base::in_time(&plans, &name, largest, now).map_err(|failure| failure.to_string())
    };
    assert_eq!(asked(36_000, NOW - 1), Ok(()));
    assert_eq!(asked(36_000, NOW), Ok(()));
    let words = asked(36_001, NOW).unwrap_err();
    assert!(words.contains("everybody is met after 3601 s") && words.contains("max_age, 3600 s"), "{words}");
    // Half of the time is over.
    let late = NOW + 1_800_000;
    assert_eq!(asked(18_000, late), Ok(()));
    let words = asked(18_001, late).unwrap_err();
    assert!(words.starts_with("it begins 1800 s after its moment") && words.contains("a later `at`"), "{words}");
}

#[test]
fn a_sweep_spends_its_pace_on_every_row_and_only_customers_are_shown() {
    let known = schemas::Customer { profile_at: Some(NOW), ..schemas::Customer::default() };
    let former = schemas::Customer { moved_to: Some("dan".to_owned()), ..schemas::Customer::default() };
    let budget = schemas::Budget { granted: 4, ..schemas::Budget::default() };
    let rows = [
        ("dan", schemas::encode(&known)),
        ("visitor", schemas::encode(&former)),
        ("\u{1}sale", schemas::encode(&budget)),
        ("\u{1}email", schemas::encode(&schemas::Address::default())),
    ];
    let (mut seen, mut shown) = (base::Seen::default(), Vec::new());
    for (key, bytes) in &rows {
        seen.row(key.as_bytes(), bytes, &mut |id: &str, _: &schemas::Customer| shown.push(id.to_owned()));
    }
    assert_eq!((seen, shown), (base::Seen { rows: 4, unreadable: 0 }, vec!["dan".to_owned()]));
}

#[test]
fn a_corrected_launch_needs_a_later_moment_once_the_first_has_come() {
    let launched = Book::of(vec![sale(1, "first").into_record(NOW - 60_000)]);
    let corrected = sale(2, "second");
    let planned = |now: Millis| base::planned(&launched, &corrected, now).map(|(_, name)| name);
    assert_eq!(planned(NOW - 1).unwrap(), "sale");
    let refused = planned(NOW + 1_800_000).unwrap_err();
    assert_eq!(refused.exit, Exit::Campaign);
    for words in ["the moment of version 1, 2026-03-02", "write a later `at`", "cascade campaign migrate"] {
        assert!(refused.sentence.contains(words), "{refused}");
    }
    let later = corrected.text.replace("T12:00Z", "T12:30Z");
    let later = understand("sale.yaml", later).unwrap();
    assert!(base::planned(&launched, &later, NOW + 1_800_000).is_ok());
    // To move what runs it may be applied; that it begins nothing is said.
    let told = |now: Millis| {
        let mut book = Book::of(vec![sale(1, "first").into_record(NOW - 60_000)]);
        news(&mut book, vec![sale(2, "second")], now).unwrap().1.concat()
    };
    assert_eq!(told(NOW - 1), "campaign sale version 2: applied\n");
    let warned = told(NOW + 1_800_000);
    assert!(warned.starts_with("warning: campaign sale version 2: the moment of version 1"), "{warned}");
    assert!(warned.ends_with("\n\ncampaign sale version 2: applied\n"), "{warned}");
}
