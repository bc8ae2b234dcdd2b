use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use schemas::token::{Key, Keyring, Kind};
use tempfile::TempDir;

use super::*;
use crate::link;

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn renderer(files: &[(&str, &str)]) -> Renderer {
    Renderer::new(directory(files).path(), "email", Some(linker().0)).unwrap()
}

fn linker() -> (Linker, Arc<Keyring>) {
    let secret = directory(&[("secret", "a secret of sixteen")]);
    let keys = vec![Key { id: 1, secret_file: Some(secret.path().join("secret")), secret_env: None }];
    let keyring = Keyring::load(&keys).unwrap();
    let config = link::Config { base_url: "https://t.example".to_owned(), keys, lifetime_days: 1 };
    (Linker::new(&config).unwrap(), Arc::new(keyring))
}

fn send(fields: &[(&str, &str)]) -> Send {
    Send {
        customer_id: "c1".to_owned(),
        channel: "email".to_owned(),
        class: Class::Marketing,
        address: "anna@shop.example".to_owned(),
        template: "cart".to_owned(),
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Send::default()
    }
}

fn id() -> Id {
    Id::of_instance("c1", "", "", "")
}

#[test]
fn a_value_inside_json_cannot_leave_it() {
    let renderer = renderer(&[("cart.email.txt", r#"{"type": "template", "name": {{ name|tojson }}}"#)]);
    let name = "\"}, \"type\": \"x\\\n";
    let message = renderer.render(id(), &send(&[("name", name)]), 0).unwrap();
    let expected = serde_json::json!({"type": "template", "name": name});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&message.text).unwrap(), expected);
}

#[test]
fn pages_are_escaped_and_texts_are_not() {
    let renderer = renderer(&[
        ("cart.email.txt", "Hello {{ name }}"),
        ("cart.email.html", "<b>{{ name }}</b></body>"),
        ("cart.email.subject", "For {{ name }}\n"),
    ]);
    let message = renderer.render(id(), &send(&[("name", "<i>Ann & Co</i>")]), 0).unwrap();
    assert_eq!(message.text, "Hello <i>Ann & Co</i>");
    assert_eq!(message.subject.as_deref(), Some("For <i>Ann & Co</i>"));
    let page = message.html.unwrap();
    assert!(page.starts_with("<b>&lt;i&gt;Ann &amp; Co&lt;"), "{page}");
    assert!(
        page.contains("<img src=\"https://t.example/o/")
            && page.ends_with(".gif\" width=\"1\" height=\"1\" alt=\"\"></body>"),
        "{page}"
    );
}

#[test]
fn links_lead_through_the_tracker() {
    let renderer = renderer(&[
        ("cart.email.txt", "{{ track(url) }}"),
        ("cart.email.html", "<a href=\"{{ url }}\">x</a>"),
        ("cart.email.link", "{{ url }}\n"),
    ]);
    let message = renderer.render(id(), &send(&[("url", "https://shop.example/cart?a=1&b=2")]), 5).unwrap();
    let page = message.html.unwrap();
    let from_page = page.split('"').nth(1).unwrap().to_owned();
    let keyring = linker().1;
    for link in [message.text, message.link.unwrap(), from_page] {
        let token = keyring.verify(link.strip_prefix("https://t.example/c/").unwrap(), Kind::Click, 5).unwrap();
        assert_eq!((token.target.as_str(), token.customer_id.as_str()), ("https://shop.example/cart?a=1&b=2", "c1"));
        assert_eq!(token.expires_at, 86_400_005);
    }
}

#[test]
fn marketing_can_be_unsubscribed_by_one_click_and_nothing_else() {
    let renderer = renderer(&[("cart.email.txt", "x")]);
    let marketing = renderer.render(id(), &send(&[]), 0).unwrap().unsubscribe.unwrap();
    let token = marketing.strip_prefix("https://t.example/u/").unwrap();
    assert!(linker().1.verify(token, Kind::Unsubscribe, 0).is_ok());
    let transactional = Send { class: Class::Transactional, ..send(&[]) };
    assert_eq!(renderer.render(id(), &transactional, 0).unwrap().unsubscribe, None);
}

#[test]
fn what_cannot_be_said_is_refused() {
    let renderer = renderer(&[
        ("cart.email.txt", "Hello {{ name }}"),
        ("loop.email.txt", "{% for i in range(100000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}"),
    ]);
    let code = |send: Send| renderer.render(id(), &send, 0).unwrap_err().0;
    assert_eq!(code(send(&[])), "render", "nobody is greeted with an empty name");
    assert_eq!(code(Send { address: String::new(), ..send(&[]) }), "no_address");
    assert_eq!(code(Send { template: "../cart".to_owned(), ..send(&[]) }), "no_template");
    assert_eq!(code(Send { template: "loop".to_owned(), ..send(&[]) }), "render", "a template cannot run for ever");
}

#[test]
fn templates_are_checked_before_the_first_message() {
    let broken = directory(&[("a.email.txt", "{{ name"), ("b.email.html", "x"), ("c.sms.txt", "{{ fine }}")]);
    let problems = Renderer::new(broken.path(), "email", None).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("template a.email.txt: "), "{problems:?}");
    assert_eq!(problems[1], "template b.email.html has no .txt beside it: every message needs a text");
    assert!(Renderer::new(broken.path(), "push", None).is_err(), "a channel without templates says nothing");
    assert!(Renderer::new(broken.path(), "sms", None).is_ok());
}

#[test]
fn amounts_are_written_from_minor_units() {
    let renderer = renderer(&[("cart.email.txt", "{{ total_minor | money }}")]);
    let text = |minor: &str| renderer.render(id(), &send(&[("total_minor", minor)]), 0).map(|message| message.text);
    assert_eq!(["1550", "5", "-1205"].map(|minor| text(minor).unwrap()), ["15.50", "0.05", "-12.05"]);
    assert_eq!(text("many").unwrap_err(), Flaw("render"));
}

#[test]
fn a_customer_reads_the_own_language_or_the_wider_or_everybodys() {
    let renderer = renderer(&[
        ("cart.email.txt", "Cart. {% include \"_foot.txt\" %}"),
        ("cart.email.ru.txt", "Корзина. {% include \"_foot.txt\" %}"),
        ("_foot.txt", "Bye"),
        ("_foot.pt.txt", "Adeus"),
        ("_foot.ru.txt", "Пока"),
    ]);
    let text = |locale: Option<&str>| {
        let send = Send { locale: locale.map(str::to_owned), ..send(&[]) };
        (renderer.render(id(), &send, 0).unwrap().text, renderer.version(&send).unwrap())
    };
    let texts = [None, Some("de"), Some("ru-RU"), Some("pt_BR")].map(|locale| text(locale).0);
    assert_eq!(texts, ["Cart. Bye", "Cart. Bye", "Корзина. Пока", "Cart. Adeus"]);
    assert_eq!(text(None).1, text(Some("de")).1);
    assert_ne!(text(None).1, text(Some("ru")).1);
}

#[test]
fn a_message_is_never_half_in_another_language() {
    let files = directory(&[
        ("cart.email.txt", "x"),
        ("cart.email.subject", "x"),
        ("cart.email.link", "x"),
        ("cart.email.ru.txt", "x"),
        ("bonus.email.ru.txt", "x"),
    ]);
    let problems = Renderer::new(files.path(), "email", None).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(problems[0], "template bonus.email.ru.txt has no bonus.email.txt, which is for all other customers");
    assert_eq!(problems[1], "template cart.email.ru.subject is missing: the message would be half in another language");
}

#[test]
fn fragments_are_escaped_as_what_they_are() {
    let renderer = renderer(&[
        ("cart.email.txt", "{% include '_name.txt' %}"),
        ("cart.email.html", "{% include '_name.html' %}"),
        ("_name.txt", "{{ name }}"),
        ("_name.html", "{{ name }}"),
    ]);
    let message = renderer.render(id(), &send(&[("name", "<b>")]), 0).unwrap();
    assert_eq!(message.text, "<b>");
    assert!(message.html.unwrap().starts_with("&lt;b&gt;"));
}

#[test]
fn a_template_makes_deep_links_and_codes() {
    let secret = directory(&[("secret", "a secret of sixteen")]);
    let config = format!(
        r#"{{"deep_link": "https://shop.example/", "deep_link_query": {{"from": "{{channel}}"}},
             "code_secret": {{"file": "{}/secret"}}}}"#,
        secret.path().display()
    );
    let config: content::Config = serde_json::from_str(&config).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let renderer = renderer(&[
        ("cart.email.txt", "{{ promo_code() }} {{ promo_code('other') }}"),
        ("cart.email.link", "{{ deep_link('cart/' ~ item, size=9) }}"),
    ])
    .with(Content::open(&config, runtime.handle()).unwrap());
    let send = Send { campaign: "spring".to_owned(), ..send(&[("item", "a b")]) };
    let message = renderer.render(id(), &send, 0).unwrap();
    let codes = codes::Codes::new("a secret of sixteen", 20);
    assert_eq!(message.text, format!("{} {}", codes.of("spring", id()), codes.of("other", id())));
    assert_eq!(renderer.render(id(), &send, 99).unwrap().text, message.text, "again it is the same");
    let link = message.link.unwrap();
    let token = linker().1.verify(link.strip_prefix("https://t.example/c/").unwrap(), Kind::Click, 0).unwrap();
    assert_eq!(token.target, "https://shop.example/cart/a%20b?from=email&size=9");
}

#[test]
fn a_message_waits_for_its_blocks_and_is_not_refused() {
    let config = r#"{"blocks": {"recs": {"url": "http://127.0.0.1:1/", "allow_private_hosts": true},
                                "best": {"url": "http://127.0.0.1:1/", "allow_private_hosts": true, "fallback": ["<tea>"]}}}"#;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let content = Content::open(&serde_json::from_str(config).unwrap(), runtime.handle()).unwrap();
    let renderer = renderer(&[
        ("cart.email.txt", "{{ blocks.recs | default('none') }}"),
        ("best.email.txt", "x"),
        ("best.email.html", "{{ blocks.best[0] }}"),
        ("wrong.email.txt", "{{ blocks.nobodys }}"),
    ])
    .with(content);
    let of = |template: &str| renderer.render(id(), &Send { template: template.to_owned(), ..send(&[]) }, 0);
    assert_eq!(of("cart").unwrap_err(), Flaw::WAITS, "a default is no way around it");
    let best = loop {
        match of("best") {
            Err(Flaw::WAITS) => std::thread::yield_now(),
            made => break made.unwrap(),
        }
    };
    assert!(best.html.unwrap().starts_with("&lt;tea&gt;"));
    assert_eq!(of("wrong").unwrap_err(), Flaw("render"));
}

#[test]
fn who_writes_templates_is_told_where_and_what() {
    let renderer = renderer(&[("cart.email.txt", "Hello\n{{ name }}")]);
    let trouble = renderer.compose(id(), &send(&[]), 0).unwrap_err();
    assert_eq!(trouble.place, Some(("cart.email.txt".to_owned(), Some(2))));
    assert!(trouble.words.contains("undefined"), "{trouble:?}");
}

#[test]
fn segments_are_reckoned_before_anybody_is_written_to() {
    let renderer = renderer(&[
        ("cart.email.txt", "Hello {{ name }}, {{ total | money }} wait"),
        ("plain.email.txt", "Come back"),
        ("long.email.txt", "{{ 'x' * 150 }}{{ name }}"),
        ("wide.email.txt", "x"),
        ("wide.email.ru.txt", "{% for i in range(80) %}ж{% endfor %}"),
    ]);
    let of = |template: &str, locale: &str| renderer.segments(template, locale).unwrap();
    assert_eq!((of("cart", ""), of("plain", ""), of("wide", ""), of("wide", "ru")), ((1, 1), (1, 1), (1, 1), (2, 2)));
    assert_eq!(of("long", ""), (1, 3), "one letter that the alphabet lacks makes all of them wide");
}

#[test]
fn a_text_that_takes_more_segments_than_are_paid_for_is_refused() {
    let renderer =
        renderer(&[("cart.email.txt", "{{ name }}"), ("cart.email.subject", "A subject is no part of an SMS")]);
    let made = |name: &str, segments: i32| {
        let send = Send { segments, ..send(&[("name", name)]) };
        renderer.render(id(), &send, 0).map(|message| message.text.chars().count())
    };
    assert_eq!(made(&"x".repeat(160), 1), Ok(160));
    assert_eq!(made(&"x".repeat(161), 1), Err(Flaw("segments")));
    assert_eq!(made(&"x".repeat(161), 2), Ok(161));
    assert_eq!(made(&"ж".repeat(71), 1), Err(Flaw("segments")), "letters that the short alphabet lacks");
    assert_eq!(made(&"x".repeat(5_000), 0), Ok(5_000), "nobody counts");
}

/// Every example renders on every channel that it is for, with no more than what the campaigns' triggers bring.
#[test]
fn the_examples_can_be_sent() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/templates");
    let fields = [("item_count", "2"), ("total_minor", "1550"), ("currency", "USD"), ("points", "30"), ("days", "31")];
    let mut rendered = 0;
    for channel in ["push", "email", "telegram", "viber", "whatsapp", "sms"] {
        let renderer = Renderer::new(&directory, channel, Some(linker().0)).unwrap();
        for name in renderer.templates() {
            let send = Send { template: name.to_owned(), ..send(&fields) };
            let message = renderer.render(id(), &send, 0).unwrap_or_else(|flaw| panic!("{name}.{channel}: {flaw:?}"));
            let says = message.text + &message.link.unwrap_or_default();
            assert!(says.contains("https://t.example/c/"), "{name}.{channel} leads somewhere");
            rendered += 1;
        }
    }
    assert!(rendered >= 22, "{rendered}");
}

proptest! {
    #[test]
    fn no_field_becomes_markup(name in "\\PC{0,60}") {
        let files = directory(&[("cart.email.txt", "x"), ("cart.email.html", "<p title=\"{{ name }}\">{{ name }}</p>")]);
        let renderer = Renderer::new(files.path(), "email", None).unwrap();
        let page = renderer.render(id(), &send(&[("name", &name)]), 0).unwrap().html.unwrap();
        prop_assert_eq!((page.matches('<').count(), page.matches('>').count(), page.matches('"').count()), (2, 2, 2));
    }
}

#[test]
fn a_command_that_names_a_version_gets_just_that_text_whoever_edits_it() {
    let at = directory(&[("cart.email.txt", "Monday {{ name }}"), ("cart.email.ru.txt", "Понедельник {{ name }}")]);
    let open = || Renderer::new(at.path(), "email", None).unwrap();
    let text = |template: &str, locale: Option<&str>| {
        let locale = locale.map(str::to_owned);
        let send = Send { template: template.to_owned(), locale, ..send(&[("name", "Ann")]) };
        open().render(id(), &send, 0).map(|message| message.text)
    };
    let monday = format!("cart@{}", open().release("cart").unwrap());
    assert_eq!(text(&monday, None).unwrap(), "Monday Ann");
    // An edit of one locale is one of the template.
    fs::write(at.path().join("cart.email.ru.txt"), "Вторник {{ name }}").unwrap();
    assert_eq!(text(&monday, None), Err(Flaw::OTHER_TEXT));
    assert_eq!(text("cart", Some("ru")).unwrap(), "Вторник Ann", "who names none gets what is there");
    let earlier = at.path().join("earlier/monday");
    fs::create_dir_all(&earlier).unwrap();
    fs::write(earlier.join("cart.email.txt"), "Monday {{ name }}").unwrap();
    fs::write(earlier.join("cart.email.ru.txt"), "Понедельник {{ name }}").unwrap();
    assert_eq!(text(&monday, Some("ru")).unwrap(), "Понедельник Ann");
    let tuesday = format!("cart@{}", open().release("cart").unwrap());
    assert_eq!(text(&tuesday, Some("ru")).unwrap(), "Вторник Ann", "two versions of a campaign, side by side");
    let version = |template: &str| open().version(&Send { template: template.to_owned(), ..send(&[]) }).unwrap();
    assert_eq!(version(&monday), version(&tuesday), "the text for everybody was not edited");
    // What looks like no version is a name.
    assert_eq!(text("cart@tuesday", None), Err(Flaw("no_template")));
    fs::write(earlier.join("cart.email.txt"), "{{ name").unwrap();
    let problems = Renderer::new(at.path(), "email", None).unwrap_err();
    assert!(problems.len() == 1 && problems[0].contains("earlier/monday: template cart.email.txt"), "{problems:?}");
}
