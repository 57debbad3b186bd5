//! What an instance makes once and all its requests share.
//!
//! Made at boot, whatever the environment holds; nothing connects before it is needed.

use std::net::IpAddr;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::caller;
use crate::config::{Problems, Settings};
use crate::cors::Origins;
use crate::database::Database;
use crate::error::{Code, Failure};
use crate::guard::places::{descriptor_limit, raise_descriptor_limit};
use crate::guard::{Guard, Places, Reads, Terms};
use crate::llm::Model;
use crate::retrieval::Library;

/// The state of an instance.
#[derive(Debug)]
pub struct App {
    ready: Result<Ready, Problems>,
    places: Places,
    stop: watch::Sender<Option<Instant>>,
}

/// An instance whose settings are valid.
#[derive(Debug)]
pub struct Ready {
    /// The settings.
    pub settings: Settings,
    /// The conversations.
    pub database: Database,
    /// The model.
    pub model: Model,
    /// The book, if there is one.
    pub library: Option<Library>,
    /// How fast a turn may be asked and what it may cost.
    pub terms: Terms,
    /// How fast a network may do what is no turn.
    pub reads: Reads,
    /// What the instance remembers of refusals, and whether it has room for a turn.
    pub guard: Guard,
}

impl Ready {
    /// Lets a request through that is no turn, before anything of it reaches the database.
    ///
    /// # Errors
    ///
    /// 429 `rate_limited` when its network has sent too many of them.
    pub fn admit_read(&self, address: Option<IpAddr>) -> Result<(), Failure> {
        let network = caller::network(address, &self.settings.pseudonyms, Utc::now());
        self.reads.admit(network)
    }
}

impl App {
    /// Reads the environment; logs what is wrong with it.
    #[must_use]
    pub fn boot() -> Self {
        raise_descriptor_limit();
        let app = Self::new(Settings::from_environment());
        if let Err(problems) = &app.ready {
            for problem in &problems.problems {
                tracing::error!(
                    variable = problem.variable,
                    problem = problem.message,
                    "a setting is wrong; every chat will answer configuration_error"
                );
            }
        }
        if app
            .ready
            .as_ref()
            .is_ok_and(|ready| ready.settings.rate_limits.daily_budget == 0)
        {
            tracing::warn!("DAILY_BUDGET_USD is 0: nothing limits what a day may cost");
        }
        app
    }

    /// An instance with these settings.
    #[must_use]
    pub fn new(settings: Result<Settings, Problems>) -> Self {
        let database = settings.as_ref().map(|it| it.database.pool_size);
        let places = Places::of(descriptor_limit(), database.unwrap_or_default());
        let ready = settings.map(|settings| Ready {
            database: Database::new(settings.database.clone()),
            model: Model::new(settings.model.clone()),
            library: Library::of(&settings),
            terms: Terms::of(&settings),
            reads: Reads::new(settings.rate_limits.reads_per_minute),
            // The call to the model, and beside it the one for a verdict.
            guard: Guard::new(places.clone(), if settings.moderation { 2 } else { 1 }),
            settings,
        });
        let (stop, _) = watch::channel(None);
        Self {
            ready,
            places,
            stop,
        }
    }

    /// Tells the turns in flight that the platform is about to end the instance.
    pub fn stop(&self) {
        self.stop.send_replace(Some(Instant::now()));
    }

    /// Returns `grace` after the instance was told to stop.
    pub async fn stopping(&self, grace: Duration) {
        let mut stop = self.stop.subscribe();
        // The sender lives as long as `self`: there is always something to wait for.
        let told = stop
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|told| *told);
        sleep_until(told.unwrap_or_else(Instant::now) + grace).await;
    }

    /// The pages that may call, as far as they are known.
    #[must_use]
    pub fn origins(&self) -> &Origins {
        match &self.ready {
            Ok(ready) => &ready.settings.origins,
            Err(problems) => &problems.origins,
        }
    }

    /// How much it may run at once.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Gets ready for the first turn. Takes its time and never fails: what could not be made yet is
    /// made when it is needed.
    pub async fn warm(&self) {
        if let Ok(ready) = &self.ready {
            let library = async {
                if let Some(library) = &ready.library {
                    library.warm().await;
                }
            };
            tokio::join!(ready.database.warm(), ready.model.warm(), library);
        }
    }

    /// What a turn works with, or what is wrong with the settings.
    ///
    /// # Errors
    ///
    /// While a setting is missing or malformed.
    pub fn settled(&self) -> Result<&Ready, &Problems> {
        self.ready.as_ref()
    }

    /// What a turn works with.
    ///
    /// # Errors
    ///
    /// 500 `configuration_error` while a setting is missing or malformed.
    pub fn ready(&self) -> Result<&Ready, Failure> {
        self.ready.as_ref().map_err(|problems| {
            Failure::new(
                Code::ConfigurationError,
                "This chat is not set up completely. If it is yours: the function's log names the settings to fix.",
            )
            .because(problems.clone())
        })
    }
}
