//! What the integration tests stand on: a throwaway Postgres, a proxy in front of it, clients.
//!
//! Each test starts its own: nothing is shared, so tests run in any order, at once, and in
//! processes of their own.

mod clients;
mod door;
pub(crate) mod facts;
pub(crate) mod pieces;
pub(crate) mod place;
mod proxy;
pub(crate) mod server_parser;
pub(crate) mod server_scanner;
pub(crate) mod terminal;
pub(crate) mod wire;

use std::path::PathBuf;

use pgsluice::cli::demo::SHOP;
use pgsluice::cli::demo::throwaway::{Certificate, Options, Throwaway};

pub(crate) use clients::{finished, pgbench, psql, python, started};
pub(crate) use door::Door;
pub(crate) use proxy::{Finished, Proxy};

/// The options of a server that trusts everybody; `initdb` runs once for all tests.
pub(crate) fn postgres_options() -> Options {
    Options {
        initdb_cache: Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR"))),
        settings: [("shared_buffers", "16MB"), ("max_connections", "50"), ("autovacuum", "off")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..Options::default()
    }
}

/// Starts a server that trusts everybody.
pub(crate) fn postgres() -> Throwaway {
    start_postgres(&postgres_options())
}

/// Starts a server with options of the test's own.
pub(crate) fn start_postgres(options: &Options) -> Throwaway {
    Throwaway::start(options).unwrap_or_else(|error| panic!("no Postgres for this test: {error}: {error:?}"))
}

/// Starts a server with a small shop: a hundredth of the demo's.
pub(crate) fn shop() -> Throwaway {
    let postgres = postgres();
    postgres.sql("postgres", "create database shop").unwrap();
    postgres.sql("shop", &format!("\\set customers 100\n{SHOP}")).unwrap();
    postgres
}

/// A certificate for `localhost` and `127.0.0.1`, signed by itself.
pub(crate) fn certificate() -> Certificate {
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).expect("rcgen makes a certificate for two plain names");
    Certificate { chain_pem: made.cert.pem(), key_pem: made.signing_key.serialize_pem() }
}

#[cfg(test)]
mod tests {
    use pgsluice::cli::demo::throwaway::Authentication;

    use super::wire::Wire;
    use super::*;

    #[test]
    fn a_server_leaves_nothing_behind() {
        let postgres = postgres();
        let (directory, pid) = (postgres.directory().to_owned(), postgres.pid().unwrap());
        assert_eq!(postgres.sql("postgres", "select 1, 'a'").unwrap(), "1|a");
        drop(postgres);
        assert!(!directory.exists());
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_server_asks_for_passwords_and_speaks_tls() {
        for authentication in [Authentication::Password, Authentication::Md5, Authentication::ScramSha256] {
            let options = postgres_options();
            let postgres = start_postgres(&Options { authentication, certificate: Some(certificate()), ..options });
            let url = format!("{}?sslmode=require", postgres.url("postgres", "postgres"));
            let ssl = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
            assert_eq!(finished(psql(&url).args(["-c", ssl])).stdout, "t\n");
            let wrong = url.replace(":postgres@", ":wrong@");
            assert_eq!(finished(psql(&wrong).args(["-c", "select 1"])).code, Some(2));
        }
    }

    #[test]
    fn the_wire_client_reads_rows_errors_and_notices() {
        let postgres = postgres();
        let mut wire = Wire::connect(postgres.port(), &[("user", "postgres"), ("database", "postgres")]).unwrap();
        let reply = wire.query("select 1, null, 'x'");
        assert_eq!(reply.rows, [[Some("1".to_owned()), None, Some("x".to_owned())]]);
        assert_eq!((reply.tags, reply.status), (vec!["SELECT 1".to_owned()], b'I'));
        let reply = wire.query("begin; do $$ begin raise notice 'n'; end $$; select 1/0");
        assert_eq!(reply.errors[0].code, "22012");
        assert_eq!((reply.notices[0].message.as_str(), reply.status), ("n", b'E'));
    }
}
