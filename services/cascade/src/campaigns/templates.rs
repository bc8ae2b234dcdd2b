//! The templates that campaigns name: whether they are there and can be used, and how many segments those of an SMS take.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use campaign::{Channel, Plan, Step};
use channels::link::Linker;
use channels::render::Renderer;
use channels::render::content::{Config, Content};

use crate::failure::{Exit, Failure};

use super::documents::{Document, Kind};

/// Links of an SMS are reckoned as long as behind an address of this length.
const TRACKER: &str = "https://t.example.com";

/// What is to be said of the templates that these campaigns name.
///
/// # Errors
/// `Campaign`, if one is missing or cannot be used.
pub(super) fn check(documents: &[Document], directory: &Path, pins: bool) -> Result<String, Failure> {
    let plans = documents.iter().filter(|document| matches!(document.kind, Kind::Definition { .. }));
    let plans: Vec<(&str, Plan)> = plans
        .filter_map(|document| Some((document.path.as_str(), campaign::parse(&document.path, &document.text).ok()?)))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::unexpected)?;
    let content = Content::stand_in(&Config::default(), runtime.handle())
        .map_err(|problems| Failure::unexpected(problems.join("; ")))?;
    let mut checked =
        Checked { directory, content, renderers: BTreeMap::new(), problems: BTreeSet::new(), said: BTreeSet::new() };
    for (path, plan) in &plans {
        for step in &plan.steps {
            let place = format!("{path}, step {}", step.name);
            for (channel, template) in step.messages() {
                checked.step(&place, template, channel.name, step.segments_on(channel));
                checked.version(&place, plan, template, channel.name);
            }
        }
    }
    let pins = if pins { plans.iter().map(|(path, plan)| checked.pins(path, plan)).collect() } else { String::new() };
    match checked.problems.is_empty() {
        true => Ok(checked.said.into_iter().collect::<String>() + &pins),
        false => Err(Failure::new(Exit::Campaign, checked.problems.into_iter().collect::<Vec<_>>().join("\n"))),
    }
}

struct Checked<'a> {
    directory: &'a Path,
    content: Content,
    /// By channel; none where its templates cannot be used.
    renderers: BTreeMap<&'static str, Option<Renderer>>,
    problems: BTreeSet<String>,
    said: BTreeSet<String>,
}

impl Checked<'_> {
    fn step(&mut self, place: &str, template: &str, channel: &'static str, segments: Option<u32>) {
        let renderer = self.renderers.remove(channel).unwrap_or_else(|| self.open(channel));
        if let Some(renderer) = &renderer {
            self.template(renderer, place, template, channel, segments);
        }
        self.renderers.insert(channel, renderer);
    }

    fn template(&mut self, renderer: &Renderer, place: &str, template: &str, channel: &str, segments: Option<u32>) {
        if !renderer.templates().any(|known| known == template) {
            self.problems
                .insert(format!("{place}: there is no {template}.{channel}.txt in {}", self.directory.display()));
            return;
        }
        let Some(declared) = segments else { return };
        for locale in renderer.locales() {
            let named = if locale.is_empty() { String::new() } else { format!(" for {locale}") };
            match renderer.segments(template, locale) {
                Ok((least, most)) => {
                    let range = if least == most { least.to_string() } else { format!("{least} to {most}") };
                    self.said.insert(format!("template {template}.{channel}{named}: segments {range}\n"));
                    if u32::try_from(most).is_ok_and(|most| most > declared) {
                        self.said.insert(format!(
                            "{place}: template {template}{named} takes up to {most} segments, and the step says {declared}: say \
                             `segments: {most}`, or shorten it: where an SMS has a price, what is longer than was paid for is refused\n"
                        ));
                    }
                }
                // A block, or a field of which nobody knows what it looks like.
                Err(trouble) => {
                    self.said.insert(format!(
                        "template {template}.{channel}{named}: segments cannot be reckoned: {}\n",
                        trouble.words
                    ));
                }
            }
        }
    }

    /// The text that the campaign names is there.
    fn version(&mut self, place: &str, plan: &Plan, template: &str, channel: &'static str) {
        let Some(Some(renderer)) = self.renderers.get(channel) else { return };
        let Some(wanted) = plan.version_of(template, channel) else { return };
        if let Some(present) = renderer.release(template).filter(|_| !renderer.has_release(template, wanted)) {
            self.problems.insert(format!(
                "{place}: {} has version {present} of {template}.{channel}, and the campaign names {wanted}: put the files as they were \
                 into a directory below `earlier` there, or give the campaign a new version that names the present ones",
                self.directory.display()
            ));
        }
    }

    /// What a campaign has to say to keep the texts as they are.
    fn pins(&self, path: &str, plan: &Plan) -> String {
        let line = |(channel, template): (&Channel, &str)| {
            let version = self.renderers.get(channel.name)?.as_ref()?.release(template)?;
            Some(format!("  {template}.{}: \"{version}\"\n", channel.name))
        };
        let lines: BTreeSet<String> = plan.steps.iter().flat_map(Step::messages).filter_map(line).collect();
        format!("# {path}\ntemplates:\n{}", lines.into_iter().collect::<String>())
    }

    fn open(&mut self, channel: &'static str) -> Option<Renderer> {
        let linker = Linker::stand_in(TRACKER).ok().map(|(linker, _)| linker);
        match Renderer::new(self.directory, channel, linker) {
            Ok(renderer) => Some(renderer.with(self.content.clone())),
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::documents;
    use super::*;

    fn checked(templates: &[(&str, &str)]) -> Result<String, Failure> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in templates {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let text = "campaign: c\nversion: 1\ntrigger: {on: registration}\n\
                    steps: [{name: first, channel: sms, template: t}]\n";
        let document = documents::understand("c.yaml", text.to_owned()).map_err(|_| "it is well").unwrap();
        check(&[document], directory.path(), false)
    }

    #[test]
    fn the_segments_of_an_sms_are_said_beside_those_that_are_paid_for() {
        assert_eq!(checked(&[("t.sms.txt", "Hello {{ name }}")]).unwrap(), "template t.sms: segments 1\n");
        let said = checked(&[("t.sms.txt", "x"), ("t.sms.ru.txt", &"ж".repeat(100))]).unwrap();
        let mut lines = said.lines();
        assert!(
            lines
                .next()
                .unwrap()
                .starts_with("c.yaml, step first: template t for ru takes up to 2 segments, and the step says 1")
        );
        assert_eq!(lines.collect::<Vec<_>>(), ["template t.sms for ru: segments 2", "template t.sms: segments 1"]);
    }

    /// Reservations, ledger and budgets count what the step says.
    #[test]
    fn the_shipped_campaigns_pay_for_all_segments_of_their_messages() {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
        let campaigns = deploy.join("campaigns");
        let documents = documents::read(&[campaigns.clone(), campaigns.join("scenarios")]).unwrap();
        let said = check(&documents, &deploy.join("templates"), false).unwrap();
        let short: Vec<&str> = said.lines().filter(|line| line.contains("and the step says")).collect();
        assert!(short.is_empty(), "{}", short.join("\n"));
        assert!(said.contains("template order.sms: segments 2\n"), "{said}");
    }

    #[test]
    fn a_text_that_was_edited_under_a_campaign_that_names_it_is_a_problem() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write("t.sms.txt", "Hello");
        let campaign = "campaign: c\nversion: 1\ntrigger: {on: registration}\n\
                        steps: [{name: first, channel: sms, template: t}]\n";
        let of = |text: &str, pins: bool| {
            let document = documents::understand("c.yaml", text.to_owned()).map_err(|_| "it is well").unwrap();
            check(&[document], directory.path(), pins).map_err(|failure| failure.sentence)
        };
        let said = of(campaign, true).unwrap();
        let (_, pins) = said.split_once("# c.yaml\n").expect(&said);
        let pinned = format!("{campaign}{pins}");
        assert_eq!(of(&pinned, false).unwrap(), "template t.sms: segments 1\n");
        write("t.sms.txt", "Hello!");
        let problem = of(&pinned, false).unwrap_err();
        assert!(
            problem.starts_with("c.yaml, step first: ") && problem.contains("of t.sms, and the campaign names"),
            "{problem}"
        );
        assert!(of(campaign, false).is_ok(), "who names no version takes what is there");
        std::fs::create_dir_all(directory.path().join("earlier/monday")).unwrap();
        write("earlier/monday/t.sms.txt", "Hello");
        assert!(of(&pinned, false).is_ok(), "the worker has them, too");
    }

    #[test]
    fn what_is_missing_or_broken_is_a_problem() {
        let sentence = |templates: &[(&str, &str)]| checked(templates).unwrap_err().sentence;
        assert!(sentence(&[("a.sms.txt", "x")]).starts_with("c.yaml, step first: there is no t.sms.txt in "));
        assert!(sentence(&[("t.sms.txt", "{{ name")]).starts_with("template t.sms.txt: syntax error"));
    }
}
