//! Promise: a webhook or a chat is told of every hold and of its end, signed, again where it was not taken, never
//! with values that are not allowed; and whatever it does, no hold waits for it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use pgsluice::gate::{Gate, HoldRequest, Options, Ticket};
use pgsluice::notify::{Content, Counts, Format, Notifier, Part, PlainHttp, Retry, Webhook};
use pgsluice::policy::{Identity, IdentityKind};
use pgsluice::sql::risk::Risk;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::wire::{Wire, bind, execute, parse, sync};
use crate::support::{Finished, Proxy, certificate, finished, psql, shop, started};

const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &str = "a secret that nobody else knows";

/// A request that came.
#[derive(Debug, Clone)]
struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// As a receiver verifies it.
    fn is_signed(&self, secret: &str) -> bool {
        let Some(signature) = self.header("pgsluice-signature") else { return false };
        let (time, hex) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{time}.{}", self.body).as_bytes());
        let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let now = jiff::Timestamp::now().as_second();
        hex == expected && (now - time.parse::<i64>().unwrap()).abs() < 300
    }
}

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Status(u16),
    /// Nothing, for as long as the test lasts.
    Stall,
}

/// A server that takes messages.
struct Receiver {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    fn start(answers: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), None, answers)
    }

    fn on(
        listener: TcpListener,
        tls: Option<Arc<rustls::ServerConfig>>,
        answers: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answers) = (Arc::clone(&requests), Arc::new(answers));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answers, tls) = (Arc::clone(&seen), Arc::clone(&answers), tls.clone());
                std::thread::spawn(move || {
                    let stream: TcpStream = stream.unwrap();
                    match tls {
                        None => serve(stream, &seen, &*answers),
                        Some(config) => {
                            let connection = rustls::ServerConnection::new(config).unwrap();
                            serve(rustls::StreamOwned::new(connection, stream), &seen, &*answers);
                        }
                    }
                });
            }
        });
        Self { port, requests }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits for so many requests, and gives them.
    #[track_caller]
    fn wait_for(&self, count: usize) -> Vec<Request> {
        wait_until(&format!("{count} requests"), || Some(self.requests()).filter(|requests| requests.len() >= count))
    }
}

fn serve<S: Read + Write>(stream: S, seen: &Mutex<Vec<Request>>, answers: &dyn Fn(usize) -> Answer) {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        // A client that goes away, or shows no interest in our certificate, has sent nothing.
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let headers: Vec<(String, String)> = head[1..]
        .iter()
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut request = Request { line: head[0].clone(), headers, body: String::new() };
    let length: usize = request.header("content-length").unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    request.body = String::from_utf8(body).unwrap();
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request);
        seen.len() - 1
    };
    match answers(number) {
        Answer::Status(status) => {
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            stream.get_mut().flush().unwrap();
        }
        Answer::Stall => std::thread::sleep(Duration::from_secs(3600)),
    }
}

#[track_caller]
fn wait_until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn secret_file(place: &Path, name: &str, text: &str) -> PathBuf {
    let path = place.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A gate with a webhook, without a proxy.
struct Wired {
    gate: Gate,
    notifier: Notifier,
    _place: TempDir,
}

impl Wired {
    fn new(port: u16, retry: Retry) -> Self {
        let place = tempfile::tempdir().unwrap();
        let gate = Gate::new(Options { live_max: 10_000, ..Options::default() }, Arc::new(|_| Ok(())));
        let webhook = Webhook {
            name: "ops".to_owned(),
            url_file: secret_file(place.path(), "url", &format!("http://127.0.0.1:{port}/hook\n")),
            secret_file: Some(secret_file(place.path(), "secret", SECRET)),
            format: Format::Json,
            content: Content { sql: Part::Included, params: Part::Withheld },
            timeout: PATIENCE,
            plain: PlainHttp::LoopbackOnly,
        };
        let notifier = Notifier::start(&gate, &[webhook], retry).unwrap();
        Self { gate, notifier, _place: place }
    }

    fn counts(&self) -> Counts {
        self.notifier.tally().counts()[0].1
    }

    /// Holds something whose radius cannot be known.
    fn hold(&self) -> Ticket {
        let ticket = self.gate.submit(request()).unwrap();
        self.gate.attach_radius(ticket.id(), None);
        ticket
    }

    async fn until(&self, what: &str, reached: impl Fn(Counts) -> bool) {
        let wait = async {
            while !reached(self.counts()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited in vain for {what}: {:?}", self.counts());
    }
}

fn request() -> HoldRequest {
    HoldRequest {
        sql: "DELETE FROM orders".into(),
        params: Vec::new(),
        identity: Identity { name: "app".to_owned(), kind: IdentityKind::Service, owner: None },
        session: "s1".to_owned(),
        database: "shop".to_owned(),
        client: "127.0.0.1:5000".to_owned(),
        application_name: "psql".to_owned(),
        tls: None,
        reason: None,
        actions: Vec::new(),
        reasons: vec!["deletes rows".to_owned()],
        risk: Risk::default(),
        verdict_policy: "default.cedar: destructive-waits".to_owned(),
        needs: 1,
        in_transaction: false,
        search_path: None,
        expiry_cap: None,
        wait: pgsluice::gate::Wait::Inline,
        digest: [0; 32],
    }
}

/// Soon, and often.
const QUICK: Retry = Retry { first: Duration::from_millis(5), longest: Duration::from_millis(20), attempts: 10_000 };

#[test]
fn a_hold_and_its_end_are_told_signed_and_without_values() {
    let postgres = shop();
    let mut proxy = Proxy::prepare(&postgres.url("postgres", "postgres"), &[]);
    let (hook, chat) = (Receiver::start(|_| Answer::Status(204)), Receiver::start(|_| Answer::Status(200)));
    let place = proxy.place.path().to_owned();
    let hook_url = secret_file(&place, "hook.url", &format!("http://127.0.0.1:{}/T0PS3CRET\n", hook.port));
    let chat_url = secret_file(&place, "chat.url", &format!("http://localhost:{}/T0PS3CRET?a=b", chat.port));
    let secret = secret_file(&place, "secret", &format!("{SECRET}\n"));
    let config = format!(
        "[[webhook]]\nname = \"ops\"\nurl_file = {hook_url:?}\nsecret_file = {secret:?}\n\
         [[webhook]]\nurl_file = {chat_url:?}\nformat = \"slack\"\n"
    );
    fs::write(place.join("pgsluice.toml"), config).unwrap();
    proxy.launch();

    let mut session = Wire::connect(proxy.port(), &[("user", "shop"), ("database", "shop")]).unwrap();
    let statement = "delete from orders where id = (select min(id) from customers where name = $1)";
    session.raw(&[parse(statement), bind(&["V4LUE-OF-A-PERSON"]), execute(), sync()].concat());
    let hold = proxy.held();
    assert!(hold["params"][0].as_str().unwrap().contains("V4LUE"), "{hold}");
    let id = hold["id"].as_str().unwrap();

    let held = &hook.wait_for(1)[0];
    assert_eq!(held.line, "POST /T0PS3CRET HTTP/1.1");
    assert!(held.is_signed(SECRET) && !held.is_signed("another secret, as long"), "{held:?}");
    let told = held.json();
    assert_eq!((&told["event"], &told["version"]), (&json!("held"), &json!(1)));
    for field in ["id", "sql", "identity", "kind", "actions", "risk", "radius", "expires_at", "digest", "needs"] {
        assert_eq!(told["hold"][field], hold[field], "{field}");
    }
    let approve = told["commands"]["approve"].as_str().unwrap();
    assert!(approve.starts_with(&format!("pgsluice holds approve {id} --digest ")), "{approve}");
    let words = chat.wait_for(1)[0].json()["text"].as_str().unwrap().to_owned();
    for part in [id, "shop", "delete table public.orders", statement.split('$').next().unwrap(), approve] {
        assert!(words.contains(part), "{part} is missing in {words}");
    }
    assert_eq!(chat.requests()[0].header("pgsluice-signature"), None);

    // The command that it names works as it stands.
    let arguments: Vec<&str> = approve.split(' ').skip(1).map(|word| word.trim_matches('\'')).collect();
    proxy.done(&arguments);
    assert_eq!(session.reply().errors, []);
    let ended = hook.wait_for(2)[1].json();
    assert_eq!((&ended["event"], &ended["hold"]["id"]), (&json!("ended"), &json!(id)));
    assert_eq!((&ended["hold"]["state"], ended["hold"]["ended"]["by"].is_string()), (&json!("approved"), true));
    chat.wait_for(2);
    let status = proxy.wait_for("the counts", || {
        let client = pgsluice::control::Client::new(proxy.data());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let status = runtime.block_on(client.status()).unwrap();
        let delivered = |at: usize| status["webhooks"][at]["messages"]["delivered"] == 2;
        (delivered(0) && delivered(1)).then(|| status["webhooks"].clone())
    });
    assert_eq!((&status[0]["name"], &status[1]["name"]), (&json!("ops"), &json!("webhook 2")));
    for request in hook.requests().iter().chain(&chat.requests()) {
        assert!(!format!("{request:?}").contains("V4LUE"), "{request:?}");
    }
    proxy.stop(nix::sys::signal::Signal::SIGTERM);
    assert!(!proxy.log().contains("T0PS3CRET") && !proxy.log().contains(SECRET), "{}", proxy.log());
}

#[test]
fn it_is_told_over_tls() {
    let postgres = shop();
    let mut proxy = Proxy::prepare(&postgres.url("postgres", "postgres"), &["-v"]);
    let place = proxy.place.path().to_owned();
    let made = certificate();
    let file = |name: &str, text: &str| secret_file(&place, name, text);
    let (chain, key) = (file("tls.crt", &made.chain_pem), file("tls.key", &made.key_pem));
    let config = rustls::ServerConfig::builder_with_provider(pgsluice::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(pgsluice::tls::read_certificates(&chain).unwrap(), pgsluice::tls::read_key(&key).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = Receiver::on(listener, Some(Arc::new(config)), |_| Answer::Status(200));
    let url = file("url", &format!("https://localhost:{}/T0PS3CRET", hook.port));
    fs::write(place.join("pgsluice.toml"), format!("[[webhook]]\nurl_file = {url:?}\n")).unwrap();
    let send = |proxy: &Proxy| {
        let client = started(psql(&proxy.url("shop", "shop")).args(["-c", "delete from orders where id = 1"]));
        proxy.held();
        client
    };

    // Whom the system trusts is asked: not this one.
    proxy.launch();
    let client = send(&proxy);
    proxy.wait_for("a refusal", || proxy.log().contains("signed by nobody that this system trusts").then_some(()));
    assert!(hook.requests().is_empty());
    proxy.deny_next("over");
    Finished::of(client);
    proxy.stop(nix::sys::signal::Signal::SIGTERM);
    assert!(!proxy.log().contains("T0PS3CRET"), "{}", proxy.log());

    proxy.set("SSL_CERT_FILE", chain.to_str().unwrap());
    proxy.launch();
    let client = send(&proxy);
    assert_eq!(hook.wait_for(1)[0].json()["event"], "held");
    proxy.deny_next("over");
    Finished::of(client);
}

#[tokio::test]
async fn it_is_sent_again_after_a_failure() {
    let hook = Receiver::start(|number| Answer::Status([500, 503, 429, 200][number.min(3)]));
    let wired = Wired::new(hook.port, QUICK);
    let ticket = wired.hold();
    wired.until("a delivery", |counts| counts.delivered == 1).await;
    let requests = hook.requests();
    assert_eq!(requests.len(), 4);
    let names: Vec<_> = requests.iter().map(|request| request.header("pgsluice-delivery")).collect();
    assert!(names.windows(2).all(|pair| pair[0] == pair[1]), "the same message: {names:?}");
    assert!(requests.iter().all(|request| request.is_signed(SECRET)));
    drop(ticket);
    wired.until("the end", |counts| counts.delivered == 2).await;
    assert_eq!(hook.requests()[4].json()["hold"]["state"], "withdrawn");
    assert_eq!(wired.counts(), Counts { attempts: 5, delivered: 2, dropped: 0, failed: 0 });
}

#[tokio::test]
async fn the_first_of_two_approvals_is_told_once() {
    let hook = Receiver::start(|_| Answer::Status(200));
    let wired = Wired::new(hook.port, QUICK);
    let ticket = wired.gate.submit(HoldRequest { needs: 2, ..request() }).unwrap();
    wired.gate.attach_radius(ticket.id(), None);
    wired.until("the hold", |counts| counts.delivered == 1).await;
    for (by, delivered) in [("bob", 2), ("carol", 3)] {
        let by = pgsluice::gate::Approver::local(by);
        wired.gate.approve(ticket.id(), &by, pgsluice::gate::Approve::default()).unwrap();
        wired.until("an approval", |counts| counts.delivered == delivered).await;
    }
    let requests = hook.requests();
    let events: Vec<_> = requests.iter().map(|request| request.json()["event"].clone()).collect();
    assert_eq!(events, ["held", "partly_approved", "ended"]);
    let told = requests[1].json();
    assert_eq!(requests[1].header("pgsluice-event"), Some("partly_approved"));
    assert_eq!((&told["hold"]["state"], &told["hold"]["needs"]), (&json!("pending"), &json!(2)));
    assert_eq!(told["hold"]["approvals"][0]["by"], "bob");
    let delivery = told["delivery"].as_str().unwrap();
    assert!(delivery.ends_with("/approved-1"), "{delivery}");
    // What the next one has to type.
    assert!(told["commands"]["approve"].as_str().unwrap().contains(&ticket.id().to_string()), "{told}");
}

#[tokio::test]
async fn it_is_sent_again_when_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let wired = Wired::new(address.port(), QUICK);
    let _ticket = wired.hold();
    wired.until("attempts", |counts| counts.attempts > 3).await;
    assert_eq!(wired.counts().delivered, 0);
    let hook = Receiver::on(TcpListener::bind(address).unwrap(), None, |_| Answer::Status(200));
    wired.until("a delivery", |counts| counts.delivered == 1).await;
    assert_eq!(hook.requests().len(), 1);
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_sent_again_and_attempts_end() {
    let hook = Receiver::start(|_| Answer::Status(404));
    let wired = Wired::new(hook.port, QUICK);
    let _ticket = wired.hold();
    wired.until("the end", |counts| counts.failed == 1).await;
    assert_eq!(wired.counts(), Counts { attempts: 1, delivered: 0, dropped: 0, failed: 1 });

    let broken = Receiver::start(|_| Answer::Status(500));
    let wired = Wired::new(broken.port, Retry { attempts: 3, ..QUICK });
    let _ticket = wired.hold();
    wired.until("the end", |counts| counts.failed == 1).await;
    assert_eq!(broken.requests().len(), 3);
}

#[tokio::test]
async fn holds_do_not_wait_for_it_and_its_queue_is_bounded() {
    let hook = Receiver::start(|_| Answer::Stall);
    let wired = Wired::new(hook.port, QUICK);
    let mut first = wired.hold();
    wired.until("a first attempt", |counts| counts.attempts == 1).await;
    // It never answers; a thousand holds come and go.
    for _ in 0..1_000 {
        drop(wired.hold());
        tokio::task::yield_now().await;
    }
    let by = pgsluice::gate::Approver::local("bob");
    wired.gate.approve(first.id(), &by, pgsluice::gate::Approve::default()).unwrap();
    assert!(matches!(first.decided().await, pgsluice::gate::Decision::Approved { .. }));
    wired.until("dropped messages", |counts| counts.dropped > 0).await;
    let counts = wired.counts();
    assert_eq!((counts.attempts, counts.delivered), (1, 0), "{counts:?}");
}

#[test]
fn a_statement_runs_while_the_webhook_stalls() {
    let postgres = shop();
    let mut proxy = Proxy::prepare(&postgres.url("postgres", "postgres"), &[]);
    let place = proxy.place.path().to_owned();
    let hook = Receiver::start(|_| Answer::Stall);
    let url = secret_file(&place, "url", &format!("http://127.0.0.1:{}/", hook.port));
    fs::write(place.join("pgsluice.toml"), format!("[[webhook]]\nurl_file = {url:?}\ntimeout = \"1h\"\n")).unwrap();
    proxy.launch();
    for id in 1..=3 {
        let client =
            started(psql(&proxy.url("shop", "shop")).args(["-c", &format!("delete from orders where id = {id}")]));
        proxy.approve_next(&[]);
        assert_eq!(Finished::of(client).stdout, "DELETE 1\n");
    }
    assert_eq!(hook.wait_for(1).len(), 1, "the first message is still under way");
}

#[test]
fn what_is_wrong_with_a_webhook_is_told_at_the_start() {
    let proxy = Proxy::prepare("postgres://127.0.0.1:1/", &[]);
    let place = proxy.place.path().to_owned();
    let remote = secret_file(&place, "remote", "http://192.0.2.1/T0PS3CRET");
    let open = secret_file(&place, "open", "https://hooks.example/T0PS3CRET");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let short = secret_file(&place, "short", "T0PS3CRET");
    let good = secret_file(&place, "good", "http://127.0.0.1:1/T0PS3CRET");
    for (config, part) in [
        (format!("url_file = {remote:?}"), "allow_http"),
        (format!("url_file = {open:?}"), "chmod 600"),
        (format!("url_file = {short:?}"), "holds no webhook URL"),
        (format!("url_file = {good:?}\nsecret_file = {short:?}"), "shorter than 16 bytes"),
        (format!("url_file = {:?}", place.join("none")), "cannot read a webhook URL"),
        ("url = \"https://hooks.example/T0PS3CRET\"".to_owned(), "unknown key `url`"),
    ] {
        fs::write(place.join("pgsluice.toml"), format!("[[webhook]]\n{config}\n")).unwrap();
        let refused = finished(&mut proxy.serve());
        assert_eq!(refused.code, Some(2), "{config}: {refused:?}");
        assert!(refused.stderr.contains(part), "{config}: {}", refused.stderr);
        assert!(!refused.stderr.contains("T0PS3CRET"), "{}", refused.stderr);
    }
}
