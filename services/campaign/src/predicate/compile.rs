//! From CEL's syntax tree to our form: names resolved, types checked, every fault with its place.

use std::borrow::Cow;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo, operators};
use cel::parser::Parser;
use schemas::Status;

use crate::channel::{Channel, outcomes};
use crate::language::nearest;
use crate::limits::EXPRESSION_BYTES;

use super::macros::quantifier;
use super::vocabulary::{FUNCTIONS, ITEM, PROFILE, Type, Vocabulary};
use super::{Calculate, Compare, Fault, Memory, Node, Of, Predicate, Search};

/// Deeper nesting is refused, so that evaluation needs little stack.
const DEPTH: u16 = 32;
/// A chain such as `1 + 1 + 1 …` is a deep tree, although nothing is nested in its text.
const CHAIN: usize = 128;

/// Compiles an expression whose type must be one of `wanted`.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn compile(text: &str, vocabulary: &Vocabulary<'_>, wanted: &[Type]) -> Result<Predicate, Vec<Fault>> {
    if text.len() > EXPRESSION_BYTES {
        let hint =
            format!("at most {EXPRESSION_BYTES} bytes: what many campaigns ask can be an attribute of the profile");
        return Err(vec![Fault { start: 0, width: 1, message: "this expression is too long".to_owned(), hint }]);
    }
    let parsed = Parser::new().max_recursion_depth(DEPTH).error_recovery_limit(1).parse_with_source_info(text);
    let (tree, places) = parsed.map_err(|errors| syntax(text, &errors))?;
    let mut compiler = Compiler { vocabulary, text, places, faults: Vec::new(), item: None, depth: 0 };
    let node = compiler.typed(&tree, wanted);
    match node {
        Some((node, _)) if compiler.faults.is_empty() => Ok(Predicate { node, text: text.into() }),
        _ => Err(compiler.faults),
    }
}

/// The parser's messages name its tokens; a marketer needs the place and the way to write it.
fn syntax(text: &str, errors: &cel::ParseErrors) -> Vec<Fault> {
    let column = errors.errors.first().map_or(1, |error| error.pos.1);
    let start = usize::try_from(column - 1).unwrap_or(0).min(text.chars().count().saturating_sub(1));
    let hint = "for example `total_minor >= 100000 && profile.attributes.city == 'Omsk'`".to_owned();
    vec![Fault { start, width: 1, message: "this is not an expression".to_owned(), hint }]
}

type Typed = Option<(Node, Type)>;

struct Compiler<'a> {
    vocabulary: &'a Vocabulary<'a>,
    text: &'a str,
    places: SourceInfo,
    faults: Vec<Fault>,
    /// The name of the item, inside `exists` and `all`.
    item: Option<String>,
    /// How deep in the tree it is.
    depth: usize,
}

impl Compiler<'_> {
    fn fault<T>(&mut self, at: &IdedExpr, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        let (start, stop) = self.places.offset_for(at.id).unwrap_or((0, 0));
        let start = usize::try_from(start).unwrap_or(0);
        let stop = usize::try_from(stop).unwrap_or(start);
        // The parser counts bytes, and who reads it counts letters.
        let letters = |bytes: std::ops::RangeInclusive<usize>| {
            self.text.char_indices().filter(|(place, _)| bytes.contains(place)).count()
        };
        let width = letters(start..=stop).max(1);
        let start = start.checked_sub(1).map_or(0, |before| letters(0..=before));
        self.faults.push(Fault { start, width, message: message.into(), hint: hint.into() });
        None
    }

    /// An expression of one of these types.
    fn typed(&mut self, tree: &IdedExpr, wanted: &[Type]) -> Typed {
        let (node, found) = self.any(tree)?;
        if wanted.contains(&found) {
            return Some((node, found));
        }
        let names: Vec<&str> = wanted.iter().map(|wanted| wanted.name()).collect();
        self.fault(
            tree,
            format!("this is {}, but {} is needed", found.name(), names.join(" or ")),
            "compare it with something",
        )
    }

    fn one(&mut self, tree: &IdedExpr, wanted: Type) -> Option<Box<Node>> {
        self.typed(tree, &[wanted]).map(|(node, _)| Box::new(node))
    }

    fn any(&mut self, tree: &IdedExpr) -> Typed {
        if self.depth >= CHAIN {
            return self.fault(tree, "this expression is too deep", "shorten it, or ask for one thing at a time");
        }
        self.depth += 1;
        let found = self.of_any_kind(tree);
        self.depth -= 1;
        found
    }

    fn of_any_kind(&mut self, tree: &IdedExpr) -> Typed {
        match &tree.expr {
            Expr::Literal(literal) => self.literal(tree, literal),
            Expr::Ident(name) => self.name(tree, name),
            Expr::Select(select) => self.select(tree, select),
            Expr::Call(call) => self.call(tree, call),
            Expr::Comprehension(fold) => match quantifier(fold) {
                Some(found) => self.quantified(tree, &found),
                None => self.fault(
                    tree,
                    "only `exists` and `all` are known here",
                    "for example `items.exists(i, i.sku == 'A1')`",
                ),
            },
            Expr::List(_) => {
                self.fault(tree, "a list can only stand after `in`", "for example `source in ['web', 'app']`")
            }
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                self.fault(tree, "this kind of value is not known here", "use numbers, texts, `true` and `false`")
            }
        }
    }

    fn literal(&mut self, tree: &IdedExpr, literal: &LiteralValue) -> Typed {
        match literal {
            LiteralValue::Boolean(truth) => Some((Node::Bool(**truth), Type::Bool)),
            LiteralValue::Int(number) => Some((Node::Int(**number), Type::Int)),
            LiteralValue::String(text) => Some((Node::Text((**text).into()), Type::Text)),
            LiteralValue::Double(_) => self.fault(
                tree,
                "fractions are refused: they do not add up",
                "write whole numbers; money is in minor units",
            ),
            LiteralValue::UInt(_) => self.fault(tree, "unsigned numbers are not known here", "leave out the `u`"),
            LiteralValue::Bytes(_) | LiteralValue::Null => {
                self.fault(tree, "this kind of value is not known here", "use numbers, texts, `true` and `false`")
            }
        }
    }

    fn name(&mut self, tree: &IdedExpr, name: &str) -> Typed {
        if let Some((_, of, field)) = self.vocabulary.fields.iter().find(|(known, ..)| *known == name) {
            return Some((Node::Field(*field), *of));
        }
        match name {
            "items" if self.vocabulary.items => Some((Node::CountItems, Type::Items)),
            "profile" => {
                self.fault(tree, "a profile is not a value", "write `profile.attributes.city` or `profile.locale`")
            }
            "attributes" if self.vocabulary.attributes => {
                self.fault(tree, "the attributes together are not a value", "write `attributes.city`")
            }
            _ => {
                let hint = nearest(name, self.vocabulary.names());
                self.fault(tree, format!("`{name}` is not known here"), hint)
            }
        }
    }

    fn select(&mut self, tree: &IdedExpr, select: &SelectExpr) -> Typed {
        if let Some(of) = self.attributes_of(&select.operand.expr) {
            let is_kept = matches!(of, Of::Event) && self.vocabulary.steps.is_some();
            let name = if is_kept { self.vocabulary.kept(&select.field) } else { Cow::Borrowed(&*select.field) };
            return Some(attribute(of, &name, select.test));
        }
        let (fields, what) = match &select.operand.expr {
            Expr::Ident(name) if name == "profile" => (PROFILE, "a profile"),
            Expr::Ident(name) if Some(name) == self.item.as_ref() => (ITEM, "an item"),
            _ => {
                return self.fault(tree, "this has no fields", "fields stand after `profile`, `attributes` or an item");
            }
        };
        match fields.iter().find(|(name, ..)| *name == select.field) {
            Some((_, _, field)) if select.test => Some((Node::HasField(*field), Type::Bool)),
            Some((_, of, field)) => Some((Node::Field(*field), *of)),
            None => {
                let more = (what == "a profile").then_some("attributes");
                let hint = nearest(&select.field, fields.iter().map(|(name, ..)| *name).chain(more));
                self.fault(tree, format!("{what} has no `{}`", select.field), hint)
            }
        }
    }

    /// `attributes` or `profile.attributes`.
    fn attributes_of(&self, expr: &Expr) -> Option<Of> {
        match expr {
            Expr::Ident(name) if name == "attributes" && self.vocabulary.attributes => Some(Of::Event),
            Expr::Select(inner) if inner.field == "attributes" && !inner.test => match &inner.operand.expr {
                Expr::Ident(name) if name == "profile" => Some(Of::Profile),
                _ => None,
            },
            _ => None,
        }
    }

    fn quantified(&mut self, tree: &IdedExpr, found: &super::macros::Quantifier<'_>) -> Typed {
        if self.item.is_some() {
            return self.fault(tree, "one list inside another is not known here", "ask for one item at a time");
        }
        self.typed(found.range, &[Type::Items])?;
        self.item = Some(found.variable.to_owned());
        let condition = self.one(found.condition, Type::Bool);
        self.item = None;
        let condition = condition?;
        Some((if found.every { Node::EveryItem(condition) } else { Node::AnyItem(condition) }, Type::Bool))
    }

    fn call(&mut self, tree: &IdedExpr, call: &CallExpr) -> Typed {
        let name = call.func_name.as_str();
        match (name, &call.target, call.args.as_slice()) {
            (operators::LOGICAL_NOT, None, [inner]) => Some((Node::Not(self.one(inner, Type::Bool)?), Type::Bool)),
            (operators::NEGATE, None, [inner]) => Some((Node::Negative(self.one(inner, Type::Int)?), Type::Int)),
            (operators::LOGICAL_AND, None, [left, right]) => {
                let (left, right) = (self.one(left, Type::Bool), self.one(right, Type::Bool));
                Some((Node::Both(left?, right?), Type::Bool))
            }
            (operators::LOGICAL_OR, None, [left, right]) => {
                let (left, right) = (self.one(left, Type::Bool), self.one(right, Type::Bool));
                Some((Node::Either(left?, right?), Type::Bool))
            }
            (operators::CONDITIONAL, None, [condition, yes, no]) => self.choice(condition, yes, no),
            (operators::IN, None, [needle, list]) => self.one_of(needle, list),
            (operators::INDEX, None, [map, key]) => self.index(tree, map, key),
            ("outcome", None, [step]) => self.outcome(tree, step),
            ("size", None, [inner]) | ("size", Some(_), [inner]) => self.size(inner),
            ("size", Some(target), []) => self.size(target),
            ("int", None, [inner]) => Some((Node::ToInt(self.one(inner, Type::Text)?), Type::Int)),
            ("did" | "bought" | "heard_on" | "was_in" | "is_in", None, [_, ..]) => {
                self.remembers(tree, name, &call.args)
            }
            ("days_since", None, [action]) => Some((Node::DaysSince(self.quoted(name, action)?.into()), Type::Int)),
            ("days_until", None, [date]) => Some((Node::DaysUntil(self.one(date, Type::Text)?), Type::Int)),
            ("days_to_anniversary", None, [date]) => {
                Some((Node::DaysToAnniversary(self.one(date, Type::Text)?), Type::Int))
            }
            (_, Some(target), [part]) => self.search(tree, name, target, part),
            (_, None, [left, right]) if name.starts_with('_') => self.operator(tree, name, left, right),
            (_, None, [argument]) => self.question(tree, name, argument),
            _ => self.unknown_function(tree, name),
        }
    }

    fn choice(&mut self, condition: &IdedExpr, yes: &IdedExpr, no: &IdedExpr) -> Typed {
        let condition = self.one(condition, Type::Bool);
        let (yes, of) = self.any(yes)?;
        let no = self.one(no, of)?;
        Some((Node::Choose(condition?, Box::new(yes), no), of))
    }

    fn one_of(&mut self, needle: &IdedExpr, list: &IdedExpr) -> Typed {
        let (needle, of) = self.typed(needle, &[Type::Int, Type::Text])?;
        let Expr::List(written) = &list.expr else {
            return self.fault(list, "after `in` stands a list", "for example `source in ['web', 'app']`");
        };
        let nodes: Vec<Node> =
            written.elements.iter().filter_map(|item| self.one(item, of)).map(|node| *node).collect();
        for (item, place) in nodes.iter().zip(&written.elements) {
            self.is_outcome(&needle, item, place);
        }
        (nodes.len() == written.elements.len()).then_some((Node::OneOf(Box::new(needle), nodes), Type::Bool))
    }

    fn index(&mut self, tree: &IdedExpr, map: &IdedExpr, key: &IdedExpr) -> Typed {
        match (self.attributes_of(&map.expr), &key.expr) {
            (Some(of), Expr::Literal(LiteralValue::String(name))) => Some(attribute(of, name, false)),
            _ => self.fault(tree, "only attributes can be looked up by name", "for example `attributes['utm-source']`"),
        }
    }

    /// What a step before this one came to.
    fn outcome(&mut self, tree: &IdedExpr, step: &IdedExpr) -> Typed {
        let word = self.quoted("outcome", step)?;
        Some((Node::Outcome(self.step(tree, "outcome", step, word)?), Type::Text))
    }

    /// The index of an earlier step, by its name.
    fn step(&mut self, tree: &IdedExpr, function: &str, argument: &IdedExpr, word: &str) -> Option<usize> {
        let Some(steps) = self.vocabulary.steps else {
            return self.fault(tree, format!("`{function}` can only be asked in a step"), "move it to a step's `when`");
        };
        let found = steps.iter().position(|step| *step == word);
        if found.is_none() {
            let hint = nearest(word, steps.iter().copied());
            return self.fault(argument, format!("no step before this one is called `{word}`"), hint);
        }
        found
    }

    /// A text that an outcome is compared with must be the word for one.
    fn is_outcome(&mut self, left: &Node, right: &Node, at: &IdedExpr) {
        let (Node::Outcome(_), Node::Text(word)) = (left, right) else { return };
        if !word.is_empty() && !outcomes().any(|(known, _)| *known == **word) {
            let hint = nearest(word, outcomes().map(|(known, _)| known));
            let _: Option<()> = self.fault(at, format!("no call comes to `{word}`"), hint);
        }
    }

    fn size(&mut self, inner: &IdedExpr) -> Typed {
        let (node, of) = self.typed(inner, &[Type::Text, Type::Items])?;
        let node = if of == Type::Items { Node::CountItems } else { Node::Length(Box::new(node)) };
        Some((node, Type::Int))
    }

    fn search(&mut self, tree: &IdedExpr, name: &str, target: &IdedExpr, part: &IdedExpr) -> Typed {
        let how = match name {
            "startsWith" => Search::StartsWith,
            "endsWith" => Search::EndsWith,
            "contains" => Search::Contains,
            _ => return self.unknown_function(tree, name),
        };
        let (target, part) = (self.one(target, Type::Text), self.one(part, Type::Text));
        Some((Node::Search(how, target?, part?), Type::Bool))
    }

    fn operator(&mut self, tree: &IdedExpr, name: &str, left: &IdedExpr, right: &IdedExpr) -> Typed {
        let compare = match name {
            operators::EQUALS => Compare::Equal,
            operators::NOT_EQUALS => Compare::Unequal,
            operators::LESS => Compare::Less,
            operators::LESS_EQUALS => Compare::AtMost,
            operators::GREATER => Compare::More,
            operators::GREATER_EQUALS => Compare::AtLeast,
            _ => return self.calculation(tree, name, left, right),
        };
        let wanted: &[Type] = match compare {
            Compare::Equal | Compare::Unequal => &[Type::Bool, Type::Int, Type::Text],
            _ => &[Type::Int, Type::Text],
        };
        let places = (left, right);
        let (left, of) = self.typed(left, wanted)?;
        let right = self.one(right, of)?;
        self.is_outcome(&left, &right, places.1);
        self.is_outcome(&right, &left, places.0);
        Some((Node::Compare(compare, Box::new(left), right), Type::Bool))
    }

    fn calculation(&mut self, tree: &IdedExpr, name: &str, left: &IdedExpr, right: &IdedExpr) -> Typed {
        let calculate = match name {
            operators::ADD => Calculate::Add,
            operators::SUBSTRACT => Calculate::Subtract,
            operators::MULTIPLY => Calculate::Multiply,
            operators::DIVIDE => Calculate::Divide,
            operators::MODULO => Calculate::Remainder,
            _ => return self.unknown_function(tree, name),
        };
        let (left, right) = (self.one(left, Type::Int), self.one(right, Type::Int));
        Some((Node::Calculate(calculate, left?, right?), Type::Int))
    }

    /// A name in quotes.
    fn quoted<'e>(&mut self, name: &str, argument: &'e IdedExpr) -> Option<&'e str> {
        match &argument.expr {
            Expr::Literal(LiteralValue::String(word)) => Some(word),
            _ => self.fault(argument, format!("`{name}` needs a name in quotes"), format!("for example `{name}('…')`")),
        }
    }

    /// Questions about the past: a name, and within how many days.
    fn remembers(&mut self, tree: &IdedExpr, name: &str, arguments: &[IdedExpr]) -> Typed {
        let word: Box<str> = self.quoted(name, &arguments[0])?.into();
        let days = match &arguments[1..] {
            [] => None,
            [IdedExpr { expr: Expr::Literal(LiteralValue::Int(days)), .. }] if **days > 0 && name != "is_in" => {
                Some(**days)
            }
            _ => {
                let hint = "for example `did('purchase', 30)`: within thirty days";
                return self.fault(tree, format!("`{name}` takes a name and a number of days"), hint);
            }
        };
        if matches!(name, "was_in" | "is_in") && !self.vocabulary.cascades {
            return self.fault(tree, format!("`{name}` can only be asked in the trigger"), "move it to its `where`");
        }
        if name == "heard_on" && Channel::find(&word).is_none() {
            let hint = nearest(&word, Channel::names());
            return self.fault(&arguments[0], format!("`{word}` is no channel"), hint);
        }
        let memory = match name {
            "did" => Memory::Did(word, days),
            "bought" => Memory::Bought(word, days),
            "heard_on" => Memory::HeardOn(word, days),
            "was_in" => Memory::WasIn(word, days),
            _ => Memory::IsIn(word),
        };
        Some((Node::Remembers(memory), Type::Bool))
    }

    /// Questions about contacts, consents and earlier steps: their argument is a name that must exist.
    fn question(&mut self, tree: &IdedExpr, name: &str, argument: &IdedExpr) -> Typed {
        let status = match name {
            "has_contact" | "has_consent" => None,
            "was_sent" => Some(Status::Accepted),
            "was_delivered" => Some(Status::Delivered),
            "was_opened" => Some(Status::Opened),
            "was_clicked" => Some(Status::Clicked),
            "was_replied" => Some(Status::Replied),
            _ => return self.unknown_function(tree, name),
        };
        let Expr::Literal(LiteralValue::String(word)) = &argument.expr else {
            return self.fault(
                argument,
                format!("`{name}` needs a name in quotes"),
                "for example `has_contact('telegram')`",
            );
        };
        let word: &str = word;
        let Some(status) = status else {
            if Channel::find(word).is_none() {
                return self.fault(argument, format!("`{word}` is no channel"), nearest(word, Channel::names()));
            }
            let node =
                if name == "has_contact" { Node::HasContact(word.into()) } else { Node::HasConsent(word.into()) };
            return Some((node, Type::Bool));
        };
        Some((Node::Became(self.step(tree, name, argument, word)?, status), Type::Bool))
    }

    fn unknown_function(&mut self, tree: &IdedExpr, name: &str) -> Typed {
        let known = FUNCTIONS.iter().map(|function| function.name);
        self.fault(tree, format!("the function `{name}` is not known here"), nearest(name, known))
    }
}

fn attribute(of: Of, name: &str, test: bool) -> (Node, Type) {
    if test {
        (Node::HasAttribute(of, name.into()), Type::Bool)
    } else {
        (Node::Attribute(of, name.into()), Type::Text)
    }
}
