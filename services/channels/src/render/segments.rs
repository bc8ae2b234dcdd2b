//! What a template comes to as an SMS, before anybody has been written to: how many segments at least, and at most.
//!
//! A template is rendered with short fields and with long ones. Long is: [`LETTERS`] letters that only UCS-2 has, or nine digits where
//! letters will not do (`money`); an address of sixty characters for what is called a link or URL. Longer fields than that, and
//! the branches that such fields do not take, are not reckoned with.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{Id, Send, sms};

use super::{Renderer, Trouble};

/// Letters of a long field: a name, a product.
pub const LETTERS: usize = 20;

/// Names that no field has to bring.
const OURS: [&str; 7] = ["campaign", "locale", "track", "deep_link", "promo_code", "blocks", "unsubscribe_url"];

impl Renderer {
    /// Segments of a template's messages for customers of a locale (empty: everybody else), at least and at most.
    ///
    /// # Errors
    /// What is wrong with the template, or that it cannot be reckoned.
    pub fn segments(&self, template: &str, locale: &str) -> Result<(usize, usize), Trouble> {
        let names = self.asked_of(template, locale);
        let count = |fields: BTreeMap<String, String>| {
            let locale = Some(locale.to_owned()).filter(|locale| !locale.is_empty());
            let send = Send {
                customer_id: "customer".to_owned(),
                channel: self.channel.clone(),
                campaign: "campaign".to_owned(),
                template: template.to_owned(),
                locale,
                fields: fields.into_iter().collect(),
                ..Send::default()
            };
            let message = self.compose(Id::of_instance("customer", "", "", ""), &send, 0)?;
            Ok::<_, Trouble>(sms::segments(&message.text))
        };
        let filled =
            |by: &dyn Fn(&str) -> String| names.iter().map(|name| (name.clone(), by(name))).collect::<BTreeMap<_, _>>();
        let long = |name: &str| if is_link(name) { link() } else { "9".repeat(9) };
        let least = count(filled(&|name| if is_link(name) { link() } else { "1".to_owned() }))?;
        let mut fields = filled(&long);
        count(fields.clone())?;
        for name in names.iter().filter(|name| !is_link(name)) {
            let digits = fields.insert(name.clone(), "Ж".repeat(LETTERS));
            if let (Err(_), Some(digits)) = (count(fields.clone()), digits) {
                fields.insert(name.clone(), digits);
            }
        }
        Ok((least, count(fields)?.max(least)))
    }

    /// The fields that a template and its fragments ask for.
    fn asked_of(&self, template: &str, locale: &str) -> BTreeSet<String> {
        let send = Send { locale: Some(locale.to_owned()), ..Send::default() };
        let locale = self.texts[0].locale(&send);
        let of_it = format!("{template}.{}.", self.channel);
        let files = locale.names.iter().filter(|name| name.starts_with(&of_it) || name.starts_with('_'));
        let asked = files.filter_map(|name| locale.environment.get_template(name).ok());
        let names = asked.flat_map(|template| template.undeclared_variables(false));
        let known: BTreeSet<&str> = locale.environment.globals().map(|(name, _)| name).chain(OURS).collect();
        names.filter(|name| !known.contains(name.as_str())).collect()
    }
}

fn is_link(name: &str) -> bool {
    name.contains("link") || name.contains("url")
}

fn link() -> String {
    format!("https://shop.example/{}", "x".repeat(39))
}
