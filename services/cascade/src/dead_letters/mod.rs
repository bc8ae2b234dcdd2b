//! `cascade dlq`: what could not be read, its second chance, and the release of a customer who is held because of it.

mod letter;
mod tell;
mod profiles;
mod redrive;
mod release;
#[cfg(test)]
mod tests;

pub use letter::Filter;
use letter::Keep;
pub use redrive::Chance;
pub use release::ReleaseArgs;

use crate::failure::Failure;
use crate::{cli, common};

/// So many are listed, unless somebody says how many.
const LISTED: usize = 50;

/// `cascade dlq …`. Gives back what to print.
///
/// # Errors
/// Those of the tools.
pub fn run(command: cli::Dlq) -> Result<String, Failure> {
    use cli::Dlq as Command;
    match command {
        Command::List { filter, flags } => {
            let common = common(&flags)?;
            let mut letters = letter::read_all(&common, &filter, Keep::Headers)?;
            // People look for what is new.
            letters.reverse();
            Ok(tell::table(&letters, filter.limit.unwrap_or(LISTED), &common.topics.dead_letter()))
        }
        Command::Show { filter, flags } => Ok(tell::whole(&letter::read(&common(&flags)?, &filter, Keep::Values)?)),
        Command::Redrive { args, flags } => redrive::redrive(&common(&flags)?, &args),
        Command::Drop { args, flags } => redrive::dismiss(&common(&flags)?, &args),
        Command::Release { args, flags } => release::release(&common(&flags)?, &args),
    }
}
