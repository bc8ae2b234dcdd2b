//! Schema ids that a registry gave, asked for once before intake starts. Without a registry the built-in ids are all there are.

use schemas::registry::{Login, Registry, RegistryError};
use schemas::{Action, Cart, Feedback, Ids, Inactivity, Profile, Registration, Topics};

use crate::config::Reader;
use crate::failure::{Exit, Failure};

/// Where the registry is, and what is asked of it.
pub struct Settings {
    url: String,
    login: Option<Login>,
    ids: Vec<u32>,
}

impl Settings {
    /// Reads `registry.*`; none without an address.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.optional("registry.url").filter(|url| !url.is_empty())?;
        let ids = reader.text("registry.ids");
        let ids: Option<Vec<u32>> =
            ids.split(',').map(str::trim).filter(|id| !id.is_empty()).map(|id| id.parse::<u32>().ok()).collect();
        if ids.is_none() {
            reader.wrong("registry.ids", "must be numbers, separated by commas");
        }
        let name = reader.optional("registry.user").filter(|name| !name.is_empty());
        let login = name.map(|name| Login { name, password: reader.required("registry.password") });
        Some(Settings { url, login, ids: ids.unwrap_or_default() })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// As whom it is asked.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }
}

/// The ids under which source records may come.
///
/// # Errors
/// `NotNow` if the registry does not answer, `Usage` if it refuses.
pub fn ids(settings: Option<&Settings>, topics: &Topics) -> Result<Ids, Failure> {
    let mut ids = Ids::new();
    if let Some(settings) = settings {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::unexpected)?;
        runtime.block_on(ask(settings, topics, &mut ids)).map_err(|error| {
            let exit = if error.is_passing() { Exit::NotNow } else { Exit::Usage };
            Failure::new(exit, format!("{error} (see registry.url)"))
        })?;
    }
    Ok(ids)
}

/// Our current schemas keep the ids that they have there, or get one.
async fn ask(settings: &Settings, topics: &Topics, ids: &mut Ids) -> Result<(), RegistryError> {
    let registry = Registry::new(&settings.url, settings.login.clone())?;
    registry.register::<Cart>(ids, &topics.cart()).await?;
    registry.register::<Registration>(ids, &topics.registration()).await?;
    registry.register::<Inactivity>(ids, &topics.inactivity()).await?;
    registry.register::<Action>(ids, &topics.action()).await?;
    registry.register::<Profile>(ids, &topics.profile()).await?;
    registry.register::<Feedback>(ids, &topics.feedback()).await?;
    for id in &settings.ids {
        registry.learn(ids, *id).await?;
    }
    Ok(())
}
