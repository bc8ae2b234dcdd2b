//! The settings as command-line flags, made from the catalogue.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, error::ErrorKind};

use super::catalogue::{KAFKA, SETTINGS, Setting, flag_of, is_secret, variable_of};
use super::layers::Layers;
use super::surroundings::Surroundings;

/// What the command line says about settings: `--brokers`, `--state-dir` and so on, `--set KEY=VALUE` for any, `--config`.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    values: BTreeMap<String, String>,
    config: Option<PathBuf>,
}

impl Flags {
    /// The layers, with these flags on top.
    pub fn layers<'a>(&self, surroundings: &'a dyn Surroundings) -> Layers<'a> {
        Layers::new(self.values.clone(), self.config.as_deref().map(Path::new), surroundings)
    }

    #[cfg(test)]
    pub(crate) fn of(values: &[(&str, &str)], config: Option<&str>) -> Self {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Flags { values, config: config.map(PathBuf::from) }
    }
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("PATH")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Configuration file in TOML [env: CASCADE_CONFIG]")
            .help_heading("Settings");
        let set = Arg::new("set")
            .long("set")
            .value_name("KEY=VALUE")
            .action(ArgAction::Append)
            .help(format!(
                "Any setting by its key, such as {KAFKA}security.protocol=SSL; `cascade config explain` lists all"
            ))
            .help_heading("Settings");
        flagged().map(argument).fold(command.arg(config).arg(set), Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Settings with a flag of their own: all but secrets.
fn flagged() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| !is_secret(setting.key))
}

fn argument(setting: &'static Setting) -> Arg {
    let default = setting.default.filter(|default| !default.is_empty()).map(|default| format!(" [default: {default}]"));
    let about = format!("{}{} [env: {}]", setting.about, default.unwrap_or_default(), variable_of(setting.key));
    Arg::new(setting.key).long(flag_of(setting.key)).value_name("VALUE").help(about).help_heading("Settings")
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &Setting| Some((setting.key.to_owned(), matches.get_one::<String>(setting.key)?.clone()));
        let mut values: BTreeMap<String, String> = flagged().filter_map(given).collect();
        for pair in matches.get_many::<String>("set").into_iter().flatten() {
            let Some((key, value)) = pair.split_once('=') else {
                let advice = format!("--set {pair} has no `=`: write --set KEY=VALUE\n");
                return Err(clap::Error::raw(ErrorKind::ValueValidation, advice));
            };
            values.insert(key.to_owned(), value.to_owned());
        }
        Ok(Flags { values, config: matches.get_one::<PathBuf>("config").cloned() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
