//! What is known of customers, in the hands of those who answer for it: shown, checked, exported, forgotten, moved.

pub mod rows;
mod remains;
mod refusals;
pub mod erase;
pub mod rekey;

use crate::failure::Failure;
use crate::{cli, common};

/// `cascade state …`, `cascade erase`, `cascade rekey`. Gives back what to print.
///
/// # Errors
/// Those of the tools.
pub fn run(command: cli::Custody) -> Result<String, Failure> {
    match command {
        cli::Custody::State(command) => rows::run(command),
        cli::Custody::Erase { args, flags } => erase::run(&common(&flags)?, &args),
        cli::Custody::Rekey { args, flags } => rekey::run(&common(&flags)?, &args),
    }
}
