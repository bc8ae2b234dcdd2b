//! The command line.

use std::path::PathBuf;
use std::sync::LazyLock;

use channels::transport::KINDS;
use clap::{Parser, Subcommand};

use crate::config::Flags;
use crate::custody::{erase, rekey, rows};
use crate::failure::{Exit, Failure};
use crate::{bounces, campaigns, dead_letters, demo, doctor, import, journal, ops, topics};

/// The version and, where the build was told by `BUILD_REVISION`, which state of the source it is: `0.1.0+4f2a…`.
pub static VERSION: LazyLock<String> = LazyLock::new(|| match option_env!("BUILD_REVISION") {
    Some(revision) if !revision.is_empty() => concat!(env!("CARGO_PKG_VERSION"), "+").to_owned() + revision,
    _ => env!("CARGO_PKG_VERSION").to_owned(),
});

/// Kafka-native cascade messaging: the cheapest channel speaks first, dearer ones only where it failed.
#[derive(Debug, Parser)]
#[command(name = "cascade", version = VERSION.as_str(), after_help = exit_codes(), max_term_width = 120)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Services, then the tools in the order in which one needs them.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(flatten)]
    Service(Service),
    /// Live through a real grocer's year
    Demo(demo::Args),
    /// Create, compare and configure topics
    #[command(subcommand)]
    Topics(Topics),
    /// Check campaign files and tables, without Kafka
    Check(campaigns::Files),
    /// Show a campaign as a picture, without Kafka
    Show(campaigns::Picture),
    /// Show a template as a customer would get it, on each channel, without Kafka
    Render {
        #[command(flatten)]
        args: campaigns::preview::Args,
        #[command(flatten)]
        flags: Flags,
    },
    /// Rehearse campaigns: a timeline of facts in, decisions with reasons out, in virtual time, without Kafka
    Try(campaigns::Rehearsal),
    /// Apply, launch, pause, resume, stop and list campaigns; count contacts that are asleep; print the manual of their language and its schema
    #[command(subcommand)]
    Campaign(Campaign),
    /// Apply price tables
    #[command(subcommand)]
    Prices(Prices),
    /// Apply tables of rates: how often messages get how far
    #[command(subcommand)]
    Rates(Rates),
    /// Tell a customer's story
    Journal {
        #[command(flatten)]
        args: journal::Args,
        #[command(flatten)]
        flags: Flags,
    },
    /// Tell to which messages orders are owed
    Attribution {
        #[command(flatten)]
        args: journal::attribution::Args,
        #[command(flatten)]
        flags: Flags,
    },
    #[command(flatten)]
    Custody(Custody),
    /// Look at dead letters, release customers who are held
    #[command(subcommand)]
    Dlq(Dlq),
    /// Read mails that came back, delivery reports and complaints, and what people wrote back, and say what became of the sends
    Bounces {
        #[command(flatten)]
        args: bounces::Args,
        #[command(flatten)]
        flags: Flags,
    },
    /// Publish a file of the shop's records, CSV or NDJSON, to their topic; goes on where it was interrupted
    Import {
        #[command(flatten)]
        args: import::Args,
        #[command(flatten)]
        flags: Flags,
    },
    /// Ask a running service whether it is healthy (exit code 0) or not (1)
    Health(ops::health::Args),
    /// Explain the configuration
    #[command(subcommand)]
    Config(Config),
    /// Look for what threatens the promises: brokers, topics, settings, clocks, disk, schemas; each finding says what to do
    Doctor(doctor::Args),
    /// Do nothing until a signal comes: keeps a container up, in which tools are run
    Idle,
    /// Print what completes commands in a shell
    Completions {
        /// For this shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a directory
    Man {
        /// The directory
        dir: PathBuf,
    },
}

/// What runs until it is told to end.
#[derive(Debug, Subcommand)]
pub enum Service {
    /// Run intake: source topics to `input`
    Intake(Flags),
    /// Run the operator: decides, keeps the state
    Operator(Flags),
    /// Run a channel's worker: hands messages over to the provider
    #[command(after_help = kinds())]
    Channel {
        /// Name of the channel, one of the setting `channels`
        name: String,
        #[command(flatten)]
        flags: Flags,
    },
    /// Run the tracker: opens, clicks, unsubscribes, receipts
    Tracker(Flags),
    /// Run the canary: synthetic customers go all the way round; loss and latency are the indicator of the whole
    Canary(Flags),
}

/// What can be done with topics.
#[derive(Debug, Subcommand)]
pub enum Topics {
    /// Show what `apply` would do
    Plan(Flags),
    /// Create what is missing, configure what differs
    Apply(Flags),
    /// Compare; exit code 66 or 67 if something is not as it should be
    Verify(Flags),
    /// Print them as Strimzi's KafkaTopic, for clusters whose topics an operator makes; without Kafka
    Yaml {
        #[command(flatten)]
        args: topics::YamlArgs,
        #[command(flatten)]
        flags: Flags,
    },
}

/// What can be done with campaigns.
#[derive(Debug, Subcommand)]
pub enum Campaign {
    /// Check files and publish what is new in them, all or nothing
    Apply {
        /// Campaigns or tables: files, or directories of .yaml files
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        flags: Flags,
    },
    /// Launch a campaign that begins once. Without --yes it only shows for how many it would begin, and at what price at most
    Launch {
        #[command(flatten)]
        args: campaigns::Launch,
        #[command(flatten)]
        flags: Flags,
    },
    /// Take no new customers; running cascades keep their place, and nothing of them goes out
    Pause {
        /// What becomes of running cascades when the campaign is resumed
        #[arg(long, value_name = "POLICY", default_value = "continue")]
        on_resume: campaigns::Afterwards,
        #[command(flatten)]
        named: Named,
    },
    /// Take new customers again, and let running cascades go on
    Resume(Named),
    /// Take no new customers, end running cascades, and withdraw what was not handed over yet
    Stop(Named),
    /// Move running cascades from one version to another. Without --yes it only shows what that would change
    Migrate {
        #[command(flatten)]
        args: campaigns::Migrate,
        #[command(flatten)]
        flags: Flags,
    },
    /// Count contacts, channel by channel: who is awake, who is asleep; no addresses
    Hygiene {
        #[command(flatten)]
        args: campaigns::Sleepers,
        #[command(flatten)]
        flags: Flags,
    },
    /// Show all campaigns
    List(Flags),
    /// Print the JSON Schema by which editors complete and check campaigns, without Kafka
    Schema {
        /// Of campaigns, or of a table
        #[arg(long, value_name = "KIND", default_value = "campaign")]
        of: campaigns::Written,
    },
    /// Print the manual of the campaign language, without Kafka
    Manual,
}

/// A campaign by its name.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// Name of the campaign
    pub name: String,
    /// Settings.
    #[command(flatten)]
    pub flags: Flags,
}

/// What can be done with price tables.
#[derive(Debug, Subcommand)]
pub enum Prices {
    /// Check a price table and publish it
    Apply {
        /// File with `currency` and `prices`
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        flags: Flags,
    },
}

/// What can be done with tables of rates.
#[derive(Debug, Subcommand)]
pub enum Rates {
    /// Check a table of rates and publish it
    Apply {
        /// File with `rates`
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        flags: Flags,
    },
}

/// What is known of customers, in the hands of those who answer for it.
#[derive(Debug, Subcommand)]
pub enum Custody {
    /// Show, check and export what is known of customers
    #[command(subcommand)]
    State(State),
    /// Forget a customer: everywhere we hold data, with proof, and with what remains where and for how long at most
    Erase {
        #[command(flatten)]
        args: erase::Args,
        #[command(flatten)]
        flags: Flags,
    },
    /// Move the whole state into topics with another number of partitions; nobody may be at work meanwhile
    Rekey {
        #[command(flatten)]
        args: rekey::Args,
        #[command(flatten)]
        flags: Flags,
    },
}

/// What can be done with the state.
#[derive(Debug, Subcommand)]
pub enum State {
    /// Show a customer's row as JSON
    Show {
        #[command(flatten)]
        args: rows::ShowArgs,
        #[command(flatten)]
        flags: Flags,
    },
    /// Check every row of the changelog, and the store in state.dir beside it; exit code 73 if something is wrong
    Verify(Flags),
    /// Print every row, one JSON object in a line
    Export {
        #[command(flatten)]
        args: rows::ExportArgs,
        #[command(flatten)]
        flags: Flags,
    },
}

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum Dlq {
    /// Show dead letters: whence, why, never what is in them
    List {
        #[command(flatten)]
        filter: dead_letters::Filter,
        #[command(flatten)]
        flags: Flags,
    },
    /// Show dead letters with all their headers, but not their values
    Show {
        #[command(flatten)]
        filter: dead_letters::Filter,
        #[command(flatten)]
        flags: Flags,
    },
    /// Give dead letters back to the topics where they came from. Without --yes it only shows which
    Redrive {
        #[command(flatten)]
        args: dead_letters::Chance,
        #[command(flatten)]
        flags: Flags,
    },
    /// Note that nothing is to be done about dead letters; they stay until their retention is over. Without --yes it only shows which
    Drop {
        #[command(flatten)]
        args: dead_letters::Chance,
        #[command(flatten)]
        flags: Flags,
    },
    /// Release a customer who is held because of a dead letter, or all whom letters are about. The latter it only shows without --yes
    Release {
        #[command(flatten)]
        args: dead_letters::ReleaseArgs,
        #[command(flatten)]
        flags: Flags,
    },
}

/// What can be asked about the configuration.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Show each setting, its value and where it comes from; secrets are hidden
    Explain(Flags),
    /// Print all settings as a page: default, flag, variable, effect; without Kafka
    Reference,
}

/// Reads the command line. Help and version are printed at once.
///
/// # Errors
/// None for help and version, else `Usage` with clap's words.
pub fn parse() -> Result<Command, Option<Failure>> {
    Cli::try_parse().map(|cli| cli.command).map_err(|error| match error.use_stderr() {
        true => Some(Failure::new(Exit::Usage, error.render().to_string().trim_start_matches("error: ").trim_end())),
        false => {
            // Nobody is left to tell if stdout is closed.
            let _ = error.print();
            None
        }
    })
}

fn kinds() -> String {
    let lines = KINDS.iter().map(|(kind, about)| format!("\n  {kind:<9} {}", about.trim_end_matches('.')));
    format!("Ways to a provider, `kind` in [channel.<name>.transport]:{}", lines.collect::<String>())
}

fn exit_codes() -> String {
    let lines = Exit::ALL.iter().map(|(exit, meaning)| format!("\n  {:<3} {meaning}", *exit as u8));
    let settings = "Settings come from flags, then the environment, then the file of --config, then defaults: `cascade config explain`.";
    format!("{settings}\n\nExit codes:\n  0   ok{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn no_two_flags_of_a_command_are_alike() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_documents_every_exit_code() {
        let help = Cli::command().render_long_help().to_string();
        for (exit, meaning) in Exit::ALL {
            assert!(help.contains(&format!("{} ", exit as u8)) && help.contains(meaning), "{help}");
        }
    }

    #[test]
    fn a_flag_is_named_like_its_setting() {
        let cli = Cli::try_parse_from(["cascade", "operator", "--state-dir", "/data", "--set", "kafka.client.rack=a"]);
        assert!(matches!(cli.unwrap().command, Command::Service(Service::Operator(_))));
        assert!(Cli::try_parse_from(["cascade", "operator", "--no-such-setting", "1"]).is_err());
    }
}
