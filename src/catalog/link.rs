//! One connection to the upstream, with its own time-outs.

use std::fmt::Display;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use super::radius::JsonText;
use super::{CatalogError, SideConnection};

/// How much longer than `statement_timeout` we wait before we believe that the server is gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// An open connection. Closed when dropped, whatever it is doing.
pub(super) struct Link {
    client: Client,
    driver: AbortHandle,
    database: String,
    patience: Duration,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    /// Connects and sets the bounds.
    pub(super) async fn open(side: &SideConnection, database: &str) -> Result<Self, CatalogError> {
        let refused = |reason: String| CatalogError::Connect { database: database.to_owned(), reason };
        let open = async {
            let (client, driver) = dial(side, database).await.map_err(|error| refused(said(&error)))?;
            let driver = tokio::spawn(driver).abort_handle();
            let patience = side.limits.statement + PATIENCE;
            let link = Self { client, driver, database: database.to_owned(), patience };
            let millis = side.limits.statement.as_millis();
            link.ask(&format!(
                "set default_transaction_read_only = on; set statement_timeout = {millis}; set lock_timeout = 2000; \
                 set idle_in_transaction_session_timeout = {millis}"
            ))
            .await?;
            Ok(link)
        };
        match tokio::time::timeout(side.limits.connect, open).await {
            Ok(opened) => opened,
            Err(_) => Err(refused(format!("no answer within {} seconds", side.limits.connect.as_secs()))),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Sends a text and waits for all its answers.
    pub(super) async fn ask(&self, text: &str) -> Result<Vec<SimpleQueryMessage>, CatalogError> {
        self.within(self.client.simple_query(text)).await
    }

    /// Sends two texts at once.
    pub(super) async fn ask_both(
        &self,
        first: &str,
        second: &str,
    ) -> Result<(Vec<SimpleQueryMessage>, Vec<SimpleQueryMessage>), CatalogError> {
        tokio::try_join!(self.ask(first), self.ask(second))
    }

    /// Runs one statement with values and gives the JSON of its one row. The server refuses a second statement.
    pub(super) async fn ask_json(&self, text: &str, values: &[&(dyn ToSql + Sync)]) -> Result<String, CatalogError> {
        let row = self.within(self.client.query_one(text, values)).await?;
        let JsonText(json) = row.try_get(0).map_err(|error| self.failed(&said(&error)))?;
        Ok(json)
    }

    /// Runs one statement. The server refuses a second one.
    pub(super) async fn run(&self, text: &str) -> Result<(), CatalogError> {
        self.within(self.client.execute(text, &[])).await.map(drop)
    }

    async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, CatalogError> {
        match tokio::time::timeout(self.patience, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.failed(&said(&error))),
            Err(_) => Err(self.failed(&format!("no answer within {} seconds", self.patience.as_secs()))),
        }
    }

    pub(super) fn failed(&self, reason: &impl Display) -> CatalogError {
        CatalogError::Query { database: self.database.clone(), reason: reason.to_string() }
    }
}

/// Connects as the configured user or, where none is, as the first of the usual ones that the server knows.
async fn dial(side: &SideConnection, database: &str) -> Result<super::Dialled, tokio_postgres::Error> {
    let mut config = side.config.clone();
    config.dbname(database).application_name("pgsluice catalog").connect_timeout(side.limits.connect);
    if config.get_password().is_none()
        && let Ok(password) = std::env::var("PGPASSWORD")
    {
        config.password(password);
    }
    if config.get_user().is_some() {
        return side.dial.dial(config).await;
    }
    let users = usual_users();
    let (last, others) = users.split_last().expect("there is always one");
    for user in others {
        match side.dial.dial(as_user(&config, user)).await {
            Err(error) if is_refusal(&error) => {}
            answer => return answer,
        }
    }
    side.dial.dial(as_user(&config, last)).await
}

fn as_user(config: &Config, user: &str) -> Config {
    let mut config = config.clone();
    config.user(user);
    config
}

/// `PGUSER` alone where it is set, as libpq has it; else the operating system's user, then `postgres`.
fn usual_users() -> Vec<String> {
    if let Ok(user) = std::env::var("PGUSER") {
        return vec![user];
    }
    let own = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.name);
    let mut users: Vec<String> = own.into_iter().chain(["postgres".to_owned()]).collect();
    users.dedup();
    users
}

/// Whether another user may do better: no such role, or not with that password.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|code| [SqlState::INVALID_AUTHORIZATION_SPECIFICATION, SqlState::INVALID_PASSWORD].contains(code))
}

/// What the server or the network said, without what is only our library's wording.
fn said(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} ({})", error.message(), error.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
