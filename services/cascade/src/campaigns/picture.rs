//! `cascade show`: campaigns as pictures.

use std::path::PathBuf;

use crate::failure::{Exit, Failure};

use super::documents::{self, Kind, refused};

/// Which campaigns, drawn how.
#[derive(Clone, Debug, clap::Args)]
pub struct Picture {
    /// Campaigns: files, or directories of .yaml files; tables are passed over
    #[arg(required = true, value_name = "FILE")]
    pub paths: Vec<PathBuf>,
    /// For a terminal, or as the source of a flowchart in Mermaid's language
    #[arg(long = "as", value_name = "KIND", default_value = "text")]
    pub kind: PictureKind,
}

/// A kind of picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PictureKind {
    /// Text of at most 100 columns.
    Text,
    /// `flowchart TD`.
    Mermaid,
}

/// The pictures, one below the other.
///
/// # Errors
/// `Input` or `Campaign` for files that cannot be read or understood, or hold no campaign.
pub fn show(args: &Picture) -> Result<String, Failure> {
    let mut pictures = Vec::new();
    let documents = documents::read(&args.paths)?;
    for document in documents.iter().filter(|document| matches!(document.kind, Kind::Definition { .. })) {
        let plan = campaign::parse(&document.path, &document.text)
            .map_err(|problems| refused(Exit::Campaign, &problems, "correct the definition and try again"))?;
        pictures.push(match args.kind {
            PictureKind::Text => campaign::picture::text(&plan),
            PictureKind::Mermaid => campaign::picture::mermaid(&plan),
        });
    }
    match pictures.is_empty() {
        true => {
            Err(Failure::new(Exit::Campaign, "there is no campaign in these files: name one, such as cart-left.yaml"))
        }
        false => Ok(pictures.join("\n")),
    }
}
