//! Promise: the catalog gives out what is so now or nothing, over few connections that only read, and says why it cannot.

use std::time::Duration;

use pgsluice::catalog::{Catalog, CatalogError, Limits, SideConnection};

use crate::support::facts::{fixture, runtime, side};

#[test]
fn facts_are_given_out_only_while_fresh() {
    let postgres = fixture();
    let runtime = runtime();
    runtime.block_on(async {
        let limits = Limits { stale_after: Duration::from_secs(3600), ..Limits::default() };
        let catalog = Catalog::new(SideConnection { limits, ..side(&postgres) });
        assert!(catalog.current("shop").is_none());
        let facts = catalog.refresh("shop").await.unwrap();
        assert_eq!(catalog.current("shop").unwrap().version, facts.version);
        catalog.invalidate("shop");
        assert!(catalog.current("shop").is_none());
        assert_eq!(catalog.refresh("shop").await.unwrap().version, facts.version);
        assert!(catalog.current("shop").is_some());
        let other = catalog.refresh("postgres").await.unwrap();
        assert!(other.version > facts.version);

        // A look that is already too old when it ends.
        let limits = Limits { stale_after: Duration::ZERO, ..Limits::default() };
        let catalog = Catalog::new(SideConnection { limits, ..side(&postgres) });
        catalog.refresh("shop").await.unwrap();
        assert!(catalog.current("shop").is_none());
    });
}

#[test]
fn a_watched_database_stays_fresh_and_survives_lost_connections() {
    let postgres = fixture();
    runtime().block_on(async {
        let limits =
            Limits { probe_every: Duration::from_millis(20), idle: Duration::from_secs(3600), ..Limits::default() };
        let catalog = Catalog::new(SideConnection { limits, ..side(&postgres) });
        let watch = catalog.watch("shop").unwrap();
        let seen = async |name: &str| {
            while catalog.current("shop").is_none_or(|facts| facts.relation("public", name).is_none()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        seen("users").await;
        postgres.sql("shop", "create table one(a int)").unwrap();
        seen("one").await;
        let kill = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgsluice catalog'";
        assert!(postgres.sql("shop", kill).unwrap().contains('t'));
        postgres.sql("shop", "create table two(a int)").unwrap();
        seen("two").await;
        // Long enough that nobody looks any more; the next session must be noticed all the same.
        drop(watch);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let _again = catalog.watch("shop").unwrap();
        postgres.sql("shop", "create table three(a int)").unwrap();
        seen("three").await;
    });
}

#[test]
fn side_connections_are_few_read_only_and_closed_when_idle() {
    let postgres = fixture();
    let count = || {
        let count = "select count(*) from pg_stat_activity where application_name = 'pgsluice catalog'";
        postgres.sql("postgres", count).unwrap()
    };
    runtime().block_on(async {
        let limits = Limits { idle: Duration::from_millis(50), databases: 2, ..Limits::default() };
        let catalog = Catalog::new(SideConnection { limits, ..side(&postgres) });
        let watches: Vec<_> = (0..100).map(|_| catalog.watch("shop").unwrap()).collect();
        let looks = (0..100).map(|_| catalog.refresh("shop"));
        for look in looks.collect::<Vec<_>>() {
            look.await.unwrap();
        }
        assert_eq!(count(), "1");
        let second = catalog.watch("postgres").unwrap();
        let third = catalog.refresh("template1").await.unwrap_err();
        assert_eq!(third, CatalogError::TooManyDatabases { limit: 2 });
        drop((watches, second));
        while count() != "0" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        catalog.refresh("template1").await.unwrap();
    });
}

#[test]
fn what_cannot_be_reached_is_an_error_that_says_why() {
    let postgres = fixture();
    runtime().block_on(async {
        let missing = Catalog::new(side(&postgres)).refresh("nowhere").await.unwrap_err();
        assert!(missing.to_string().contains("database \"nowhere\" does not exist"), "{missing}");
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(1).user("postgres");
        let refused = Catalog::new(SideConnection::plain(config)).refresh("shop").await.unwrap_err();
        assert!(refused.to_string().contains("refused"), "{refused}");
    });
}
