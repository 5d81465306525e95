//! The connection to the proxy, in the background: tells what it says, and does what somebody has decided.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::event::{Command, Message, Tab};
use crate::control::api::ErrorBody;
use crate::control::{Client, ClientError};
use crate::gate::HoldView;

/// How often a lost connection is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the tab on the screen is asked for.
const VISIBLE_EVERY: Duration = Duration::from_secs(2);
/// How often the proxy is asked whether it is there, and how its log is.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// How long opening the stream may take.
const OPEN_TIME: Duration = Duration::from_secs(10);
/// How many decisions and questions may be under way.
const UNDER_WAY_MAX: usize = 16;

/// Runs until nobody listens.
pub(super) async fn run(client: Client, told: mpsc::Sender<Message>, mut asked: mpsc::Receiver<Command>) {
    let mut tab = Tab::Queue;
    loop {
        let why = match session(&client, &told, &mut asked, &mut tab).await {
            Ended::Lost(why) => why,
            Ended::Unheard => return,
        };
        if told.send(Message::Lost(why)).await.is_err() {
            return;
        }
        let until = Instant::now() + AGAIN;
        // What was asked for meanwhile cannot be done: a decision is never kept for later.
        loop {
            tokio::select! {
                () = sleep_until(until) => break,
                command = asked.recv() => match command {
                    None => return,
                    Some(Command::Watch(shown)) => tab = shown,
                    Some(command) => {
                        if let Some(message) = undone(command) && told.send(message).await.is_err() {
                            return;
                        }
                    }
                },
            }
        }
    }
}

/// How a session with the proxy ended.
enum Ended {
    Lost(String),
    Unheard,
}

async fn session(
    client: &Client,
    told: &mpsc::Sender<Message>,
    asked: &mut mpsc::Receiver<Command>,
    tab: &mut Tab,
) -> Ended {
    let open = async {
        // First the stream, so that no change falls between the two.
        let stream = client.watch().await?;
        Ok::<_, ClientError>((stream, client.all_holds().await?))
    };
    let (mut stream, holds) = match timeout(OPEN_TIME, open).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return Ended::Lost(error.to_string()),
        Err(_) => return Ended::Lost("the proxy does not answer".to_owned()),
    };
    if told.send(Message::Connected(holds)).await.is_err() {
        return Ended::Unheard;
    }
    // What is asked of the proxy is asked beside the stream: no answer holds up another.
    let mut work: JoinSet<Result<(), String>> = JoinSet::new();
    let mut visible = Instant::now();
    let mut alive = Instant::now();
    loop {
        tokio::select! {
            change = stream.next() => {
                let message = match change {
                    Ok(Some(hold)) => Message::Hold(Box::new(hold)),
                    Ok(None) => return Ended::Lost("the proxy has stopped".to_owned()),
                    Err(error) => return Ended::Lost(error.to_string()),
                };
                if told.send(message).await.is_err() {
                    return Ended::Unheard;
                }
            }
            command = asked.recv() => match command {
                None => return Ended::Unheard,
                Some(Command::Watch(shown)) => {
                    *tab = shown;
                    visible = Instant::now();
                }
                Some(command) if work.len() < UNDER_WAY_MAX => {
                    let (client, told) = (client.clone(), told.clone());
                    work.spawn(async move {
                        if let Some(message) = done(&client, command).await {
                            // Nobody listens any more: nobody wants to know.
                            let _ = told.send(message).await;
                        }
                        Ok(())
                    });
                }
                Some(command) => {
                    if let Some(message) = undone(command) && told.send(message).await.is_err() {
                        return Ended::Unheard;
                    }
                }
            },
            Some(worked) = work.join_next(), if !work.is_empty() => {
                if let Ok(Err(why)) = worked {
                    return Ended::Lost(why);
                }
            }
            () = sleep_until(alive) => {
                alive = Instant::now() + ALIVE_EVERY;
                if work.len() < UNDER_WAY_MAX {
                    work.spawn(look(client.clone(), told.clone(), Tab::Audit));
                }
            }
            () = sleep_until(visible), if *tab == Tab::Live || *tab == Tab::Audit => {
                visible = Instant::now() + VISIBLE_EVERY;
                if work.len() < UNDER_WAY_MAX {
                    work.spawn(look(client.clone(), told.clone(), *tab));
                }
            }
        }
    }
}

/// Asks for what a tab shows. An error is that the proxy is gone.
async fn look(client: Client, told: mpsc::Sender<Message>, tab: Tab) -> Result<(), String> {
    let answers = match tab {
        Tab::Queue | Tab::History => Vec::new(),
        Tab::Audit => vec![client.audit().await.map(|log| Message::Audit(Box::new(log)))],
        Tab::Live => {
            vec![client.sessions().await.map(Message::Sessions), client.statistics().await.map(Message::Statistics)]
        }
    };
    for answer in answers {
        let message = match answer {
            Ok(message) => message,
            // Another version of the proxy may not answer that; it is there all the same.
            Err(ClientError::Refused(_)) => Message::Alive,
            Err(error) => return Err(error.to_string()),
        };
        // Nobody listens any more: nobody wants to know.
        let _ = told.send(message).await;
    }
    Ok(())
}

async fn done(client: &Client, command: Command) -> Option<Message> {
    let decided = |result: Result<HoldView, ClientError>| result.map(Box::new).map_err(refusal);
    Some(match command {
        Command::Approve(id, body) => {
            let result = decided(client.approve(&id, &body).await);
            Message::Decided(id, result)
        }
        Command::Deny(id, body) => {
            let result = decided(client.deny_seen(&id, &body).await);
            Message::Decided(id, result)
        }
        Command::Sample(id) => {
            let result = client.sample(&id).await.map_err(|error| error.to_string());
            Message::Sample(id, result)
        }
        Command::Count(id) => {
            let result = client.count(&id).await.map_err(|error| error.to_string());
            Message::Count(id, result)
        }
        Command::Blockers(id) => {
            let result = client.blockers(&id).await.map_err(|error| error.to_string());
            Message::Blockers(id, result)
        }
        Command::Verify => match client.verify_audit().await {
            Ok(log) => Message::Audit(Box::new(log)),
            // It takes longer than an answer may; what it finds comes with the next look.
            Err(_) => {
                sleep(AGAIN).await;
                Message::Alive
            }
        },
        Command::Watch(_) | Command::Copy(_) | Command::Bell | Command::Notify(_) | Command::Quit => return None,
    })
}

/// The answer to what cannot be done.
fn undone(command: Command) -> Option<Message> {
    let why = "not connected";
    match command {
        Command::Approve(id, _) | Command::Deny(id, _) => {
            let error = ErrorBody { error: why.to_owned(), hint: None, code: "not_connected".to_owned() };
            Some(Message::Decided(id, Err(error)))
        }
        Command::Sample(id) => Some(Message::Sample(id, Err(why.to_owned()))),
        Command::Count(id) => Some(Message::Count(id, Err(why.to_owned()))),
        Command::Blockers(id) => Some(Message::Blockers(id, Err(why.to_owned()))),
        Command::Verify | Command::Watch(_) | Command::Copy(_) | Command::Bell | Command::Notify(_) | Command::Quit => {
            None
        }
    }
}

fn refusal(error: ClientError) -> ErrorBody {
    match error {
        ClientError::Refused(body) => body,
        other => ErrorBody { error: other.to_string(), hint: other.hint(), code: "not_connected".to_owned() },
    }
}
