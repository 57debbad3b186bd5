//! What an instance makes once and all its requests share.
//!
//! Made at boot from the environment, whatever that holds; connected to nothing before it is
//! needed.

use crate::config::{Problems, Settings};
use crate::cors::Origins;
use crate::database::Database;
use crate::error::{Code, Failure};
use crate::llm::Model;

/// The state of an instance.
#[derive(Debug)]
pub struct App(Result<Ready, Problems>);

/// An instance whose settings are right.
#[derive(Debug)]
pub struct Ready {
    /// The settings.
    pub settings: Settings,
    /// The conversations.
    pub database: Database,
    /// The model.
    pub model: Model,
}

impl App {
    /// Reads the environment; says in the log what is wrong with it.
    #[must_use]
    pub fn boot() -> Self {
        let app = Self::new(Settings::from_environment());
        if let Err(problems) = &app.0 {
            for problem in &problems.problems {
                tracing::error!(
                    variable = problem.variable,
                    problem = problem.message,
                    "a setting is wrong; every chat will answer configuration_error"
                );
            }
        }
        app
    }

    /// An instance with these settings.
    #[must_use]
    pub fn new(settings: Result<Settings, Problems>) -> Self {
        Self(settings.map(|settings| Ready {
            database: Database::new(settings.database.clone()),
            model: Model::new(settings.model.clone()),
            settings,
        }))
    }

    /// The pages that may call, as far as they are known.
    #[must_use]
    pub fn origins(&self) -> &Origins {
        match &self.0 {
            Ok(ready) => &ready.settings.origins,
            Err(problems) => &problems.origins,
        }
    }

    /// What a turn works with.
    ///
    /// # Errors
    ///
    /// 500 `configuration_error` while a setting is missing or malformed.
    pub fn ready(&self) -> Result<&Ready, Failure> {
        self.0.as_ref().map_err(|problems| {
            Failure::new(
                Code::ConfigurationError,
                "This chat is not set up completely. If it is yours: the function's log names the settings to mend.",
            )
            .because(problems.clone())
        })
    }
}
