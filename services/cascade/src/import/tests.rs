//! What stands in a file, without Kafka: what it becomes, what is wrong with it and where.

use std::path::PathBuf;

use schemas::{Action, Profile, decode};

use super::*;

fn args(dir: &Path, name: &str, text: &str, kind: &str, map: &[&str], fill: &[&str]) -> Args {
    let file = dir.join(name);
    std::fs::write(&file, text).unwrap();
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
    Args {
        file,
        format: None,
        kind: kind.to_owned(),
        map: texts(map),
        fill: texts(fill),
        dry_run: true,
        skip_bad: false,
        state: None,
        restart: false,
    }
}

fn mapping(args: &Args) -> Mapping {
    Mapping::parse(&args.kind, &args.map, &args.fill).unwrap()
}

/// All records of a file, which must be right.
fn records(args: &Args) -> Vec<SourceRecord> {
    let (mapping, ids, mut lines) = (mapping(args), Ids::new(), Lines::open(&args.file).unwrap());
    let mut records = Vec::new();
    while let Some(line) = lines.next().unwrap() {
        records.push(record(&line, &args.kind, kind(&args.kind).unwrap(), &mapping, &ids).unwrap());
    }
    records
}

fn told(args: &Args) -> String {
    check(args, kind(&args.kind).unwrap(), &mapping(args)).unwrap().tell(Path::new("file"))
}

#[test]
fn columns_become_fields_by_mapping_or_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let text = "\u{feff}Client,when,amount_minor,attributes.shop,Note\nc1,2026-03-01T09:00:00Z,500,\"Main, 1\",x\nc2,1700000000000,,,\n";
    let maps = ["customer_id=Client", "occurred_at=when", "attributes.note=Note"];
    let args = args(dir.path(), "a.csv", text, "action", &maps, &["action=purchase"]);
    let found: Vec<Action> = records(&args).iter().map(|record| decode(&record.value).unwrap()).collect();
    assert_eq!(
        (found[0].customer_id.as_str(), found[0].amount_minor, found[0].occurred_at),
        ("c1", 500, 1_772_355_600_000)
    );
    assert_eq!((found[0].attributes["shop"].as_str(), found[0].attributes["note"].as_str()), ("Main, 1", "x"));
    assert_eq!((found[1].amount_minor, found[1].attributes.len(), found[1].action.as_str()), (0, 0, "purchase"));
    // By what is said, not by where it stands: the same record has the same id in whatever file.
    assert!(found[0].event_id.starts_with("import-") && found[0].event_id != found[1].event_id);
    assert_eq!(records(&args)[0], records(&args)[0]);
    assert_eq!(told(&args), "file: 2 records are right, 0 are not\n");
}

#[test]
fn a_profile_has_contacts_and_consents_from_cells() {
    let dir = tempfile::tempdir().unwrap();
    let text = "id,seen,mail,phone,may\nc1,1700000000000,a@b.test,,true\n";
    let maps =
        ["customer_id=id", "occurred_at=seen", "contacts.email=mail", "contacts.sms=phone", "consents.email=may"];
    let args = args(dir.path(), "p.csv", text, "profile", &maps, &[]);
    let found: Profile = decode(&records(&args)[0].value).unwrap();
    let contacts: Vec<_> =
        found.contacts.iter().map(|contact| (contact.channel.as_str(), contact.address.as_str())).collect();
    assert_eq!(contacts, [("email", "a@b.test")]);
    let consent = &found.consents[0];
    assert_eq!((consent.channel.as_str(), consent.granted, consent.at), ("email", true, 1_700_000_000_000));
}

#[test]
fn a_mistake_is_told_with_line_and_column_and_no_value() {
    let dir = tempfile::tempdir().unwrap();
    let text = "customer_id,occurred_at,action,amount_minor,extra\nc1,1700000000000,buy,5,\n\"c\n2\",1700000000000,buy,5,\nc3,call +7900,buy,5,\nc4,1700000000000,buy,-5,\nc5,1700000000000,buy\n,1700000000000,buy,5,\n";
    let table = args(dir.path(), "a.csv", text, "action", &[], &[]);
    let said = told(&table);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("line 3, column 1 (customer_id): customer_id must be text without control"), "{said}");
    assert!(lines[1].starts_with("line 5, column 2 (occurred_at): occurred_at must be a moment"), "{said}");
    assert!(lines[2].starts_with("line 6, column 4 (amount_minor): amount_minor must be between 0"), "{said}");
    assert!(lines[3].starts_with("line 7, column 1: the row cannot be read"), "{said}");
    assert!(lines[4].starts_with("line 8, column 1 (customer_id): customer_id is missing"), "{said}");
    assert_eq!(lines[5], "columns that are not used: extra");
    assert_eq!(lines[6], "file: 1 records are right, 5 are not");
    assert!(!said.contains("7900"), "{said}");

    let text = "{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":1,\"action\":\"a\"}\n\n{\"custmer_id\":1}\n{\"a\": }\n{\"customer_id\":\"c\",\"occurred_at\":1,\"action\":\"a\",\"items\":[{\"sku\":5}]}\n[]\n";
    let objects = args(dir.path(), "a.ndjson", text, "action", &[], &[]);
    let said = told(&objects);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("line 3, column 2: custmer_id is no field"), "{said}");
    assert!(lines[1].starts_with("line 4, column 7: "), "{said}");
    assert!(lines[2].starts_with("line 5, column 59: items[0].sku must be text"), "{said}");
    assert!(lines[3].starts_with("line 6, column 1: the line must be an object"), "{said}");
    assert_eq!(lines[4], "file: 1 records are right, 4 are not");
}

#[test]
fn a_mapping_that_cannot_be_is_refused_before_anything_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let args = args(dir.path(), "a.csv", "who,when\nc,1\n", "action", &["customer_id=who"], &["action=buy"]);
    let refused = |map: &[&str]| {
        let map: Vec<String> = map.iter().map(|text| (*text).to_owned()).collect();
        let changed = Args { map, ..args.clone() };
        match Mapping::parse(&changed.kind, &changed.map, &changed.fill) {
            Err(words) => words,
            Ok(mapping) => {
                check(&changed, Kind::Action, &mapping).err().map_or_else(String::new, |failure| failure.sentence)
            }
        }
    };
    assert!(refused(&["customer_id=who"]).starts_with("nothing says occurred_at: give --map occurred_at=COLUMN"));
    assert!(refused(&["customer_id=who", "occurred_at=at"]).contains("the file has no column at; it has who, when"));
    assert!(refused(&["client=who"]).contains("client is no field"));
    assert!(refused(&["items.sku=who"]).contains("items.sku is no field"));
    assert_eq!(refused(&["customer_id=who", "occurred_at=when"]), "");
    let file = PathBuf::from("a.txt");
    assert!(kind("feedback").is_err() && Lines::open(&file).is_err());
}

#[test]
fn standard_input_is_a_file_until_the_import_is_over_and_goes_on_by_a_note_elsewhere() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let text = "customer_id,occurred_at,action\nc,1700000000000,a\nd,1700000000000,b\n";
    let args = args(dir.path(), "a.csv", text, "action", &[], &[]);
    let spooled = Spooled::of(&mut text.as_bytes(), Form::Csv).unwrap();
    let path = spooled.path().to_owned();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let of = |path: &Path| Args { file: path.to_owned(), state: Some(dir.path().join("note")), ..args.clone() };
    let given = of(&path);
    assert_eq!(records(&given), records(&args));
    State::open(&given, &mapping(&given), HERE).unwrap().note(1, 49).unwrap();
    drop(spooled);
    assert!(!path.exists());
    let again = Spooled::of(&mut text.as_bytes(), Form::Csv).unwrap();
    assert_eq!(State::open(&of(again.path()), &mapping(&given), HERE).unwrap().read, 1);
    let objects = Spooled::of(&mut "{}\n".as_bytes(), Form::Ndjson).unwrap();
    assert!(Lines::open(objects.path()).unwrap().head().is_none());
}

/// Where imports go.
const HERE: &str = "cluster-a/action/id-1";

#[test]
fn a_note_is_read_back_and_another_imports_note_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let args = args(dir.path(), "a.csv", "customer_id,occurred_at,action\nc,1,a\n", "action", &[], &[]);
    let open = |args: &Args| State::open(args, &mapping(args), HERE);
    open(&args).unwrap().note(1, 37).unwrap();
    // Lines at its end make it no other file.
    std::fs::write(&args.file, "customer_id,occurred_at,action\nc,1,a\nd,2,b\n").unwrap();
    assert_eq!(open(&args).unwrap().read, 1);
    // What Kafka has, another Kafka has not, nor a topic that was made anew, nor one of another prefix.
    for elsewhere in ["cluster-b/action/id-1", "cluster-a/action/id-2", "cluster-a/staging.action/id-3"] {
        let refused = State::open(&args, &mapping(&args), elsewhere).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        assert!(refused.sentence.contains("of another import"), "{}", refused.sentence);
    }
    // Another file of this name, with the same head, is another import; so is one in which a record was corrected.
    std::fs::write(&args.file, "customer_id,occurred_at,action\nx,1,a\nd,2,b\n").unwrap();
    assert_eq!(open(&args).unwrap_err().exit, Exit::Usage);
    std::fs::write(&args.file, "customer_id,occurred_at,action\nc,1,a\nd,2,b\n").unwrap();
    let other = Args { fill: vec!["action=b".to_owned()], ..args };
    assert_eq!(open(&other).unwrap_err().exit, Exit::Usage);
    let anew = Args { restart: true, ..other };
    assert_eq!(open(&anew).unwrap().read, 0);
}
