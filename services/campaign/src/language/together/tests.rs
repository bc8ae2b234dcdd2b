use super::*;

fn campaign(name: &str, trigger: &str) -> String {
    format!("campaign: {name}\nversion: 1\ntrigger: {{{trigger}}}\nsteps: [{{name: a, channel: email, template: t}}]\n")
}

fn told(files: &[(&str, String)]) -> Vec<String> {
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    together(&files).iter().map(ToString::to_string).collect()
}

#[test]
fn a_version_has_one_text() {
    let (one, other) = (campaign("c", "on: registration"), campaign("c", "on: cart, settle: 2h"));
    assert_eq!(
        told(&[("a.yaml", one.clone()), ("copy.yaml", one.clone()), ("d.yaml", campaign("d", "on: registration"))]),
        [""; 0]
    );
    assert_eq!(told(&[("a.yaml", one.clone()), ("v2.yaml", other.replace("version: 1", "version: 2"))]), [""; 0]);
    assert_eq!(
        told(&[("a.yaml", one), ("b.yaml", other)]),
        ["\
error: version 1 of c stands in a.yaml, too, with another text
 --> b.yaml:2:10
  |
2 | version: 1
  |          ^
  = help: a version has one text: give one of them another number, or remove it"]
    );
}

#[test]
fn campaigns_that_begin_one_another_for_ever_are_refused() {
    let files = |of_two: &str| {
        [
            ("l0.yaml", campaign("l0", "on: registration")),
            ("l1.yaml", campaign("l1", "on: end, of: [l3, l0]")),
            ("l2.yaml", campaign("l2", of_two)),
            ("l3.yaml", campaign("l3", "on: end, of: l2")),
            ("l4.yaml", campaign("l4", "on: end, of: l1")),
        ]
    };
    let round = told(&files("on: end, of: l1"));
    assert_eq!(round.len(), 3, "{round:?}");
    assert_eq!(
        round[0],
        "\
error: these campaigns begin one another for ever: l1 -> l2 -> l3 -> l1
 --> l1.yaml:3:24
  |
3 | trigger: {on: end, of: [l3, l0]}
  |                        ^
  = help: bound one of them: `maximum: 3`, `cooldown: 30d`, or `ended: goal`"
    );
    assert!(round[2].contains("l3 -> l1 -> l2 -> l3\n --> l3.yaml:3:24"), "{}", round[2]);
    for bound in ["maximum: 3", "cooldown: 30d", "ended: [goal, withdrawn]", "where: \"!was_in('l1', 30)\""] {
        assert_eq!(told(&files(&format!("on: end, of: l1, {bound}"))), [""; 0], "{bound}");
    }
    assert_eq!(told(&files("on: end, of: l1, ended: [goal, exhausted]")).len(), 3);
    assert_eq!(told(&files("on: end, of: l0")), [""; 0]);
    // A message that arrived is nobody's deed; one that was opened is.
    let mut stopped = files("on: end, of: l1, ended: stop");
    assert_eq!(told(&stopped).len(), 3);
    stopped[1].1.push_str("stop: opened\n");
    assert_eq!(told(&stopped), [""; 0]);
}
