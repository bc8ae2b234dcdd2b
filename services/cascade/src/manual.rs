//! What the program says about itself: completions, manual pages, and the page of all settings.

use std::fmt::Write;
use std::path::Path;

use clap::CommandFactory;

use crate::cli::{Cli, Config};
use crate::config::catalogue::{SETTINGS, flag_of, is_secret, variable_of};
use crate::config::{self, Process};
use crate::failure::{Exit, Failure};

/// What completes commands in this shell.
pub fn completions(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cascade", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Writes a page for the program and one for each command.
///
/// # Errors
/// `Input` if the directory cannot be written to.
pub fn pages(dir: &Path) -> Result<String, Failure> {
    let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
    written.map_err(|error| {
        Failure::new(Exit::Input, format!("cannot write manual pages into {} ({error})", dir.display()))
    })?;
    Ok(format!("manual pages are in {}: man -M or -l reads them\n", dir.display()))
}

/// Explains the configuration: as it is here, or all settings that there are.
///
/// # Errors
/// As for [`config::explain`].
pub fn config(command: &Config) -> Result<String, Failure> {
    match command {
        Config::Explain(flags) => config::explain(flags, &Process, &mut std::io::stdout()),
        Config::Reference => Ok(settings()),
    }
}

/// All settings as a page of Markdown: `deploy/SETTINGS.md` is this.
pub fn settings() -> String {
    let mut page = String::from(HEAD);
    for setting in SETTINGS {
        let flag =
            if is_secret(setting.key) { "none: a secret".to_owned() } else { format!("`--{}`", flag_of(setting.key)) };
        let default = match setting.default {
            None => "none".to_owned(),
            Some("") => "empty".to_owned(),
            Some(value) => format!("`{value}`"),
        };
        let about = setting.about.replace('|', "\\|");
        let _ = writeln!(page, "| `{}` | {default} | {flag} | `{}` | {about} |", setting.key, variable_of(setting.key));
    }
    page.push_str(TAIL);
    page
}

const HEAD: &str = "\
# Settings

Printed by `cascade config reference`. A flag holds against a variable, a variable against the file of `--config` (`$CASCADE_CONFIG`), the
file against the default; `cascade config explain` shows what holds and whence. All is read once, at the start.

| setting | default | flag | variable | effect |
|---|---|---|---|---|
";

const TAIL: &str = "
A secret never comes from the command line. The variable of any setting here, and of any `kafka.<property>`, with `_FILE` at its end names a
file that holds the value: `CASCADE_REGISTRY_PASSWORD_FILE`. The section of a channel names files for its secrets itself.

Further keys: `kafka.<property>` goes to librdkafka as it is (`CASCADE_KAFKA_SECURITY_PROTOCOL` is `kafka.security.protocol`); what exactly-once
rests on cannot be overruled. `channel.<name>.…` is the section of a channel; in its variables two underscores stand for a dot
(`CASCADE_CHANNEL__SMS__RATE_PER_SECOND`), and what reads as a number, a truth, a list or a table of TOML is one: quotes within the value make it a
text. deploy/channels.toml shows all that stands there, with its defaults: the rate, the rates of single destinations
(`rates`: a domain, or the first digits of a number), the fence around spending (`spend_per_hour`), what templates may use (`content`: deep links, promo codes, blocks of other services), every way to a provider,
and how what a provider posts to the tracker is believed (`hook`).
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_settings_is_what_the_program_prints() {
        let written = include_str!("../../../deploy/SETTINGS.md");
        assert_eq!(written, settings(), "write it anew: cascade config reference >deploy/SETTINGS.md");
    }

    #[test]
    fn every_command_can_be_completed_and_has_a_page() {
        for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish] {
            let text = completions(shell);
            assert!(["redrive", "doctor", "verify"].iter().all(|word| text.contains(word)), "{shell} lacks a command");
        }
        let dir = tempfile::tempdir().unwrap();
        pages(dir.path()).unwrap();
        for page in ["cascade.1", "cascade-dlq-redrive.1", "cascade-doctor.1"] {
            assert!(dir.path().join(page).exists(), "there is no {page}");
        }
    }
}
