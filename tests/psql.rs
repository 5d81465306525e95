//! Promise: psql works through the proxy as it does without it.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgsluice::cli::demo::throwaway::{Authentication, Options, Throwaway};

use crate::support::wire::{Wire, query};
use crate::support::{Finished, Proxy, certificate, finished, postgres_options, psql, shop, start_postgres, started};

/// Runs psql commands through the proxy and directly; what they print must be the same.
#[track_caller]
fn same(postgres: &Throwaway, proxy: &Proxy, arguments: &[&str]) -> String {
    let direct = finished(psql(&postgres.url("shop", "shop")).args(arguments));
    let through = finished(psql(&proxy.url("shop", "shop")).args(arguments));
    assert_eq!(direct.code, Some(0), "{}", direct.stderr);
    assert_eq!(through, direct);
    through.stdout
}

#[test]
fn describing_selecting_and_copying_are_the_same_as_directly() {
    let postgres = shop();
    let proxy = Proxy::start(&postgres);
    for command in
        [r"\d+", r"\d+ orders", r"\d+ order_totals", r"\dt+", r"\df+ log_it", r"\dn+", r"\du", r"\dp", r"\sf log_it"]
    {
        let printed = same(&postgres, &proxy, &["-c", command]);
        assert!(!printed.is_empty(), "{command}");
    }
    let printed = same(&postgres, &proxy, &["-c", "select * from order_totals order by 1 limit 20"]);
    assert_eq!(printed.lines().count(), 20);

    let file = proxy.place.path().join("customers.csv");
    let out = format!(r"\copy (select * from customers order by id) to '{}' csv header", file.display());
    assert_eq!(same(&postgres, &proxy, &["-c", &out]), "COPY 100\n");
    let back = format!(
        r"\copy customers (name, email, city, joined_on) from program 'sed 1d {} | cut -d, -f2- | sed s/@/@new./' csv",
        file.display()
    );
    let copied = finished(psql(&proxy.url("shop", "shop")).args(["-c", &back]));
    assert_eq!(copied.stdout, "COPY 100\n", "{}", copied.stderr);
    assert_eq!(postgres.sql("shop", "select count(*) from customers").unwrap(), "200");

    let timed = finished(psql(&proxy.url("shop", "shop")).args(["-c", r"\timing on", "-c", "select 1"]));
    assert!(timed.stdout.contains("Time: "), "{timed:?}");
    assert!(proxy.done(&["holds", "list", "--all"]).is_empty());
}

#[test]
fn notifications_arrive() {
    let postgres = shop();
    let proxy = Proxy::start(&postgres);
    let heard = finished(psql(&proxy.url("shop", "shop")).args(["-c", "listen bell", "-c", "notify bell, 'ding'"]));
    assert!(heard.stdout.contains(r#"Asynchronous notification "bell" with payload "ding""#), "{heard:?}");

    let mut listener = Wire::connect(proxy.port(), &[("user", "shop"), ("database", "shop")]).unwrap();
    listener.query("listen bell");
    postgres.sql("shop", "notify bell, 'dong'").unwrap();
    let message = listener.read().unwrap();
    assert_eq!(message.kind, b'A');
    assert!(message.body.ends_with(b"bell\0dong\0"));
}

#[test]
fn an_interrupt_cancels_what_runs_and_what_is_held() {
    let postgres = shop();
    let proxy = Proxy::start(&postgres);
    let running = "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'";
    let interrupted = |sql: &str, is_under_way: &mut dyn FnMut() -> Option<()>| {
        let client = started(psql(&proxy.url("shop", "shop")).args(["-c", sql]));
        proxy.wait_for(sql, is_under_way);
        kill(Pid::from_raw(i32::try_from(client.id()).unwrap()), Signal::SIGINT).unwrap();
        Finished::of(client).stderr
    };
    let said =
        interrupted("select pg_sleep(100)", &mut || (postgres.sql("shop", running).unwrap() == "1").then_some(()));
    assert!(said.contains("ERROR:  canceling statement due to user request"), "{said}");
    let said = interrupted("delete from orders", &mut || proxy.holds().first().map(|_| ()));
    assert!(said.contains("ERROR:  pgsluice: "), "{said}");
    proxy.none_held();
    assert_eq!(postgres.sql("shop", "select count(*) from orders").unwrap(), "500");
}

#[test]
fn logging_in_works_with_every_method_with_and_without_tls_on_either_side() {
    use Authentication::{Md5, Password, ScramSha256, Trust};
    for authentication in [Trust, Password, Md5, ScramSha256] {
        let options = Options { authentication, certificate: Some(certificate()), ..postgres_options() };
        let postgres = start_postgres(&options);
        postgres.sql("postgres", "create role lena login password 'l3na'").unwrap();
        for upstream in ["disable", "require"] {
            let proxy = Proxy::start_with(&postgres, &["--sslmode", upstream]);
            for client in ["disable", "require"] {
                let url = proxy.url("lena:l3na", "postgres") + "?sslmode=" + client;
                let who = "select user, (select ssl from pg_stat_ssl where pid = pg_backend_pid())";
                let said = finished(psql(&url).args(["-c", who]));
                let tls_upstream = if upstream == "require" { "t" } else { "f" };
                assert_eq!(
                    (said.code, said.stdout.as_str()),
                    (Some(0), format!("lena|{tls_upstream}\n").as_str()),
                    "{authentication:?}, client {client}, upstream {upstream}: {}{}",
                    said.stderr,
                    proxy.log()
                );
                if authentication != Trust {
                    let wrong = finished(psql(&url.replace("l3na@", "wrong@")).args(["-c", "select 1"]));
                    assert_eq!(wrong.code, Some(2));
                    assert!(wrong.stderr.contains("password authentication failed"), "{}", wrong.stderr);
                }
            }
        }
    }
}

/// Kilobytes of memory that a process has had at most.
fn peak_kilobytes(pid: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn large_results_and_large_values_stream_through() {
    const ROOM_KILOBYTES: u64 = 24 * 1024;
    let postgres = shop();
    let proxy = Proxy::start(&postgres);
    let drain = |command: &mut Command| {
        let bytes = std::process::Stdio::null();
        assert!(command.stdout(bytes).status().unwrap().success());
    };
    drain(psql(&proxy.url("shop", "shop")).args(["-c", "select 1"]));
    let before = peak_kilobytes(proxy.pid());
    let rows = "select repeat('x', 1000) from generate_series(1, 150000)";
    drain(psql(&proxy.url("shop", "shop")).args(["-c", &format!("copy ({rows}) to stdout")]));
    drain(psql(&proxy.url("shop", "shop")).args(["-v", "FETCH_COUNT=0", "-c", rows]));
    let mut session = Wire::connect(proxy.port(), &[("user", "shop"), ("database", "shop")]).unwrap();
    session.raw(&query("select repeat('x', 64 * 1024 * 1024)"));
    assert_eq!(session.reply().rows[0][0].as_ref().unwrap().len(), 64 << 20);
    let after = peak_kilobytes(proxy.pid());
    assert!(after < before + ROOM_KILOBYTES, "the peak rose from {before} to {after} kB");
}
