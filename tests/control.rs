//! People list, watch and decide holds through the control socket of a running proxy.

use std::sync::Arc;
use std::time::Duration;

use pgsluice::blast::{Radius, Rows};
use pgsluice::control::api::{ApproveBody, DenyBody, ReasonBody};
use pgsluice::control::{BindError, Client, ClientError, SOCKET_NAME, Server, State};
use pgsluice::gate::{Approve, Approver, Decision, Gate, HoldRequest, HoldState, Options, Origin, Ticket, Wait};
use pgsluice::policy::{Identity, IdentityKind};
use pgsluice::sql::risk::Risk;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// A proxy's gate and control socket, without the proxy.
struct Running {
    directory: TempDir,
    gate: Gate,
    client: Client,
    server: JoinHandle<()>,
}

fn start() -> Running {
    start_with(Options::default())
}

fn start_with(options: Options) -> Running {
    let directory = tempfile::tempdir().expect("a directory");
    let gate = Gate::new(options, Arc::new(|_| Ok(())));
    let server = Server::bind(directory.path(), state(&gate)).expect("bound");
    let client = Client::new(directory.path());
    Running { gate, client, server: tokio::spawn(server.serve()), directory }
}

fn state(gate: &Gate) -> State {
    State {
        status: Arc::new(|| serde_json::json!({"version": "0"})),
        sessions: Arc::new(|| vec![serde_json::json!({"session": "s1"})]),
        statistics: Arc::new(|| serde_json::json!({"sessions": 1})),
        ..State::new(gate.clone())
    }
}

fn request(identity: &str) -> HoldRequest {
    HoldRequest {
        sql: "DELETE FROM orders WHERE note = '\u{202e}\n'".into(),
        params: Vec::new(),
        identity: Identity { name: identity.to_owned(), kind: IdentityKind::Service, owner: None },
        session: "s1".to_owned(),
        database: "shop".to_owned(),
        client: "127.0.0.1:5000".to_owned(),
        application_name: "psql".to_owned(),
        tls: None,
        reason: Some("clean up".to_owned()),
        actions: Vec::new(),
        reasons: vec!["deletes rows".to_owned()],
        risk: Risk::default(),
        verdict_policy: "default.cedar: destructive-waits".to_owned(),
        needs: 1,
        in_transaction: false,
        search_path: None,
        expiry_cap: None,
        wait: Wait::Inline,
        digest: [0; 32],
    }
}

fn radius(rows: u64) -> Option<Radius> {
    Some(Radius {
        rows: Rows::exact(rows),
        relations: Vec::new(),
        triggers: Vec::new(),
        dependents: Vec::new(),
        warnings: Vec::new(),
    })
}

fn held(running: &Running) -> Ticket {
    let ticket = running.gate.submit(request("app")).expect("there is room");
    running.gate.attach_radius(ticket.id(), radius(3));
    ticket
}

/// Runs `pgsluice holds ...` against it, and returns exit code, stdout and stderr.
async fn holds(running: &Running, arguments: &[&str]) -> (i32, String, String) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_pgsluice"))
        .arg("--data")
        .arg(running.directory.path())
        .arg("--config=/dev/null")
        .arg("holds")
        .args(arguments)
        .output()
        .await
        .expect("it runs");
    (
        output.status.code().expect("it ends by itself"),
        String::from_utf8(output.stdout).expect("UTF-8"),
        String::from_utf8(output.stderr).expect("UTF-8"),
    )
}

/// The name the kernel gives this process.
fn me() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("the system knows its users");
    user.expect("this user has a name").name
}

fn code(error: &ClientError) -> &str {
    match error {
        ClientError::Refused(body) => &body.code,
        _ => "",
    }
}

#[tokio::test]
async fn a_hold_is_seen_and_approved() {
    let running = start();
    let mut ticket = held(&running);
    let listed = running.client.holds().await.expect("a list");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].sql, "DELETE FROM orders WHERE note = '\u{202e}\n'");
    let seen = running.client.hold(ticket.id()).await.expect("a hold");
    assert_eq!(seen, listed[0]);

    let body = ApproveBody { reason: Some("fine".into()), max_rows: Some(3), digest: Some(seen.digest) };
    let approved = running.client.approve(ticket.id(), &body).await.expect("approved");
    assert_eq!(approved.state, HoldState::Approved);
    let Decision::Approved { approvals, max_rows } = ticket.decided().await else { panic!("not approved") };
    assert_eq!((approvals[0].by.as_str(), max_rows), (me().as_str(), Some(3)));

    assert_eq!(running.client.holds().await.expect("a list"), []);
    assert_eq!(running.client.all_holds().await.expect("a list").len(), 1);
    let again = running.client.approve(ticket.id(), &ApproveBody::default()).await.expect_err("decided");
    assert_eq!(code(&again), "approved");
    assert!(again.to_string().contains(&format!("already decided by {}", me())), "{again}");
}

#[tokio::test]
async fn a_hold_is_denied_or_withdrawn() {
    let running = start();
    let mut ticket = held(&running);
    let body = ReasonBody { reason: Some("no".into()) };
    running.client.deny(ticket.id(), &body).await.expect("denied");
    assert_eq!(ticket.decided().await, Decision::Denied { by: me(), reason: "no".into() });
    let mut ticket = held(&running);
    running.client.withdraw(ticket.id(), &ReasonBody::default()).await.expect("withdrawn");
    assert_eq!(ticket.decided().await, Decision::Withdrawn { by: me() });
}

#[tokio::test]
async fn the_caller_is_who_the_kernel_says() {
    let running = start_with(Options { shared_roles: Vec::new(), ..Options::default() });
    let ticket = running.gate.submit(request(&me())).expect("there is room");
    running.gate.attach_radius(ticket.id(), None);
    let error = running.client.approve(ticket.id(), &ApproveBody::default()).await.expect_err("my own statement");
    assert_eq!(code(&error), "own_statement");
    assert!(error.hint().expect("a hint").contains("shared_roles"));
}

#[tokio::test]
async fn an_approval_waits_for_the_radius_and_is_bound_to_what_was_seen() {
    let running = start();
    let ticket = running.gate.submit(request("app")).expect("there is room");
    let attach = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        running.gate.attach_radius(ticket.id(), radius(5));
    };
    let (seen, ()) = tokio::join!(running.client.hold(ticket.id()), attach);
    let seen = seen.expect("a hold");
    assert_eq!(seen.radius, radius(5));
    running.gate.attach_radius(ticket.id(), radius(5_000));
    let body = ApproveBody { digest: Some(seen.digest), ..ApproveBody::default() };
    let error = running.client.approve(ticket.id(), &body).await.expect_err("it has grown");
    assert_eq!(code(&error), "changed");
}

#[tokio::test]
async fn changes_are_streamed() {
    let running = start();
    let first = held(&running);
    let mut stream = running.client.watch().await.expect("a stream");
    let mut next = async || stream.next().await.expect("well formed").expect("more");
    assert_eq!(next().await.id, *first.id());
    let second = running.gate.submit(request("app")).expect("there is room");
    assert_eq!((next().await.id, HoldState::Pending), (second.id().clone(), HoldState::Pending));
    let id = second.id().clone();
    drop(second);
    let ended = next().await;
    assert_eq!((ended.id, ended.state), (id, HoldState::Withdrawn));
    running.server.abort();
    // The end of the stream, or an error: never silence.
    assert!(!matches!(tokio::time::timeout(Duration::from_secs(10), stream.next()).await, Ok(Ok(Some(_))) | Err(_)));
}

#[tokio::test]
async fn what_is_known_late_is_streamed_too() {
    let running = start();
    let mut stream = running.client.watch().await.expect("a stream");
    let mut next = async || stream.next().await.expect("well formed").expect("more");
    let ticket = running.gate.submit(HoldRequest { needs: 2, ..request("app") }).expect("there is room");
    let first = next().await;
    assert_eq!((&first.radius, first.radius_pending), (&None, true));
    running.gate.attach_radius(ticket.id(), radius(5));
    let measured = next().await;
    assert_eq!((&measured.radius, measured.radius_pending), (&radius(5), false));
    assert_ne!(measured.digest, first.digest, "what was seen before is not this");
    for (name, state) in [("bob", HoldState::Pending), ("carol", HoldState::Approved)] {
        running.gate.approve(ticket.id(), &Approver::local(name), Approve::default()).expect("approved");
        let approved = next().await;
        assert_eq!((approved.approvals.last().map(|by| by.by.as_str()), approved.state), (Some(name), state));
    }
    // Nothing more is told of it.
    assert!(tokio::time::timeout(Duration::from_millis(200), next()).await.is_err());
}

#[tokio::test]
async fn status_and_sessions_are_what_the_proxy_says() {
    let running = start();
    assert_eq!(running.client.status().await.expect("a status")["version"], "0");
    assert_eq!(running.client.sessions().await.expect("sessions")[0]["session"], "s1");
}

#[tokio::test]
async fn nobody_at_home_is_told_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    let client = Client::new(directory.path());
    let error = client.status().await.expect_err("nobody listens");
    assert!(matches!(error, ClientError::NotRunning { .. }));
    assert!(error.to_string().contains("does not exist"), "{error}");
    assert!(error.hint().expect("a hint").contains("pgsluice serve"));

    let running = start();
    let second = Server::bind(running.directory.path(), state(&running.gate));
    assert!(matches!(second, Err(BindError::InUse(_))));
    running.server.abort();
    assert!(running.server.await.is_err());
    assert!(!running.directory.path().join(SOCKET_NAME).exists());
}

#[tokio::test]
async fn other_requests_are_answered_with_an_error() {
    let running = start();
    let unknown = running.client.hold(&"h-2222".parse().expect("an id")).await.expect_err("no such hold");
    assert_eq!(code(&unknown), "unknown_hold");
    for (request, status, code) in [
        ("GET /v1/holds/x HTTP/1.1\r\nhost: a\r\n\r\n", "400", "malformed"),
        ("GET /v1/holds?al=true HTTP/1.1\r\nhost: a\r\n\r\n", "400", "malformed"),
        ("GET /v2 HTTP/1.1\r\nhost: a\r\n\r\n", "404", "no_such_route"),
        ("POST /v1/status HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", "404", "no_such_route"),
        (
            "POST /v1/holds/h-2222/deny HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{\"a\":\"b\"}",
            "400",
            "malformed",
        ),
    ] {
        let answer = raw(&running, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{request}: {answer}");
    }
}

async fn raw(running: &Running, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let path = running.directory.path().join(SOCKET_NAME);
    let mut stream = tokio::net::UnixStream::connect(path).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut buffer = vec![0; 4096];
    let read = stream.read(&mut buffer).await.expect("an answer");
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

#[tokio::test]
async fn the_commands_show_and_decide() {
    let running = start();
    let (code, stdout, stderr) = holds(&running, &["list"]).await;
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", "nothing waits for approval\n"));

    let mut ticket = held(&running);
    let id = ticket.id().to_string();
    let (code, stdout, _) = holds(&running, &["list"]).await;
    assert_eq!((code, stdout.lines().count()), (0, 2));
    assert!(stdout.contains(&id) && stdout.contains("<U+202E>"), "{stdout}");
    let (code, stdout, _) = holds(&running, &["list", "--json"]).await;
    let listed: serde_json::Value = serde_json::from_str(&stdout).expect("one line of JSON");
    assert_eq!((code, listed["id"].as_str()), (0, Some(id.as_str())));
    assert!(stdout.contains("\\u202e") && !stdout.contains('\u{202e}'), "{stdout}");
    let (code, stdout, _) = holds(&running, &["show", &id]).await;
    assert!(code == 0 && stdout.contains("radius      3 rows"), "{stdout}");

    let (code, stdout, stderr) = holds(&running, &["approve", &id, "--reason", "fine", "--max-rows", "3"]).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("DELETE FROM orders") && stdout.ends_with("runs now\n"), "{stdout}");
    assert!(stdout.contains(&format!("approved    {} at ", me())), "what is new is told: {stdout}");
    let Decision::Approved { approvals, max_rows } = ticket.decided().await else { panic!("not approved") };
    assert_eq!((approvals[0].reason.as_deref(), max_rows), (Some("fine"), Some(3)));

    let (code, _, stderr) = holds(&running, &["deny", &id]).await;
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: ") && stderr.contains("already decided by"), "{stderr}");
    assert!(stderr.contains("\nhint: "), "{stderr}");
}

#[tokio::test]
async fn the_commands_end_with_the_code_that_tells_why() {
    let running = start();
    let ticket = held(&running);
    let id = ticket.id().to_string();
    assert_eq!(holds(&running, &["deny", &id, "--reason", "no"]).await.0, 0);
    assert_eq!(holds(&running, &["approve", &id]).await.0, 3);

    let expired = running
        .gate
        .submit(HoldRequest { expiry_cap: Some(Duration::from_millis(1)), ..request("app") })
        .expect("there is room");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(holds(&running, &["approve", &expired.id().to_string()]).await.0, 4);

    let two = running.gate.submit(HoldRequest { needs: 2, ..request("app") }).expect("there is room");
    running.gate.attach_radius(two.id(), None);
    let (code, stdout, _) = holds(&running, &["approve", &two.id().to_string()]).await;
    assert!(code == 4 && stdout.contains("waits for 1 more"), "{stdout}");

    assert_eq!(holds(&running, &["approve", "h-2222"]).await.0, 1);
    assert_eq!(holds(&running, &["approve", "nonsense"]).await.0, 2);
    running.server.abort();
    let stopped = running.server.await;
    assert!(stopped.is_err());
    let directory = tempfile::tempdir().expect("a directory");
    let alone = Running { directory, server: tokio::spawn(async {}), gate: running.gate, client: running.client };
    let (code, _, stderr) = holds(&alone, &["list"]).await;
    assert!(code == 1 && stderr.contains("no pgsluice runs"), "{stderr}");
}

#[tokio::test]
async fn an_approval_from_the_shell_is_bound_to_what_was_shown() {
    let running = start();
    let ticket = held(&running);
    let id = ticket.id().to_string();
    let (code, shown, _) = holds(&running, &["show", &id]).await;
    assert_eq!(code, 0);
    let how = shown.lines().last().expect("a last line");
    let words: Vec<&str> = how.split(' ').collect();
    let digest = words[words.iter().position(|word| *word == "--digest").expect("the digest is told") + 1];
    assert_eq!(digest.len(), 12, "{how}");
    assert!(shown.lines().any(|line| line.starts_with("digest ") && line.contains(digest)), "{shown}");

    // It grows, and is not what was shown any more.
    running.gate.attach_radius(ticket.id(), radius(5_000));
    let (code, stdout, stderr) = holds(&running, &["approve", &id, "--digest", digest]).await;
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.contains("is not what you looked at any more") && stderr.contains("hint: "), "{stderr}");
    assert_eq!(running.gate.list().len(), 1, "it still waits");
    for nonsense in ["", "12345", "nonsense-nonsense"] {
        assert_eq!(holds(&running, &["approve", &id, "--digest", nonsense]).await.0, 2, "{nonsense}");
    }

    let (_, shown, _) = holds(&running, &["show", &id, "--json"]).await;
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let whole = shown["digest"].as_str().expect("a digest");
    let (code, _, stderr) = holds(&running, &["approve", &id, "--digest", &whole[..16].to_uppercase()]).await;
    assert_eq!(code, 0, "{stderr}");
}

#[tokio::test]
async fn lists_and_changes_tell_all_that_their_json_tells() {
    let running = start();
    let ticket = held(&running);
    let id = ticket.id().to_string();
    let (_, shown, _) = holds(&running, &["show", &id]).await;
    let whole = shown.rsplit_once("\nto approve this").expect("how to approve").0;
    let (code, listed, _) = holds(&running, &["list", "--full"]).await;
    // But for the seconds that are left, and for what is asked of the database only now.
    let still = |text: &str| {
        let lines = text.trim_end().lines().skip(1).filter(|line| !line.starts_with("locks now "));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert!(whole.contains("\nlocks now   not known: this proxy has no database to ask\n"), "{whole}");
    assert_eq!((code, still(&listed)), (0, still(whole)));
    let (code, denied, _) = holds(&running, &["deny", &id, "--reason", "no"]).await;
    assert!(code == 0 && denied.contains("DELETE FROM orders") && denied.ends_with("does not run\n"), "{denied}");
    assert_eq!(holds(&running, &["list", "--full", "--json"]).await.0, 2);
}

#[tokio::test]
async fn nobody_elsewhere_is_let_in_by_an_empty_list() {
    let running = start();
    let ticket = held(&running);
    let elsewhere =
        Approver { name: "carol".to_owned(), origin: Origin::Remote { address: "192.0.2.7:4000".to_owned() } };
    for refused in [
        running.gate.approve(ticket.id(), &elsewhere, Approve::default()).expect_err("no list names carol"),
        running.gate.deny(ticket.id(), &elsewhere, None).expect_err("no list names carol"),
        running.gate.withdraw(ticket.id(), &elsewhere, None).expect_err("no list names carol"),
    ] {
        assert_eq!(refused.code(), "not_an_approver");
    }
    running.gate.withdraw(ticket.id(), &Approver::local("carol"), None).expect("on this machine everybody may");
}

#[tokio::test]
async fn a_denial_can_be_bound_to_what_was_seen() {
    let running = start();
    let ticket = held(&running);
    let id = ticket.id().clone();
    let seen = running.client.hold(&id).await.expect("there").digest;
    running.gate.attach_radius(&id, radius(4));
    let stale = DenyBody { reason: Some("no".to_owned()), digest: Some(seen) };
    let Err(ClientError::Refused(refused)) = running.client.deny_seen(&id, &stale).await else {
        panic!("what was seen is not there any more");
    };
    assert_eq!(refused.code, "changed");
    let digest = running.client.hold(&id).await.expect("there").digest;
    let fresh = DenyBody { reason: Some("no".to_owned()), digest: Some(digest) };
    assert_eq!(running.client.deny_seen(&id, &fresh).await.expect("denied").state, HoldState::Denied);
}

#[tokio::test]
async fn what_a_proxy_does_not_have_is_said_so() {
    let running = start();
    let ticket = held(&running);
    assert_eq!(running.client.statistics().await.expect("answered"), serde_json::json!({"sessions": 1}));
    for error in [
        running.client.audit().await.expect_err("no log"),
        running.client.verify_audit().await.expect_err("no log"),
        running.client.sample(ticket.id()).await.map(drop).expect_err("no database"),
        running.client.count(ticket.id()).await.map(drop).expect_err("no database"),
    ] {
        let ClientError::Refused(refused) = error else { panic!("{error}") };
        assert_eq!(refused.code, "unavailable");
    }
}
