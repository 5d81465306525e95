//! Promise: `holds review` leads through the queue by plain questions, in every terminal, and nothing is approved by
//! accident.

use pgsluice::cli::demo::throwaway::Throwaway;

use crate::support::terminal::Terminal;
use crate::support::{Finished, Proxy, finished, psql, shop, started};

const DELETE: &str = "delete from orders where placed_on < '2023-02-01'";
const ORDERS: &str = "select count(*) from orders";

struct Shop {
    proxy: Proxy,
    postgres: Throwaway,
    orders: String,
}

impl Shop {
    fn open() -> Self {
        let postgres = shop();
        let orders = postgres.sql("shop", ORDERS).unwrap();
        Self { proxy: Proxy::start(&postgres), postgres, orders }
    }

    fn send(&self, sql: &str) -> std::process::Child {
        started(psql(&self.proxy.url("shop", "shop")).args(["-c", sql]))
    }

    fn review(&self) -> Terminal {
        Terminal::start(&mut self.proxy.command(&["holds", "review"]))
    }

    #[track_caller]
    fn unchanged(&self) {
        assert_eq!(self.postgres.sql("shop", ORDERS).unwrap(), self.orders);
    }
}

#[test]
fn a_statement_is_read_out_and_approved_by_the_name_of_its_table() {
    let shop = Shop::open();
    let doomed: u64 = shop.postgres.sql("shop", &DELETE.replace("delete", "select count(*)")).unwrap().parse().unwrap();
    let claim = "set pgsluice.reason = 'clean up'";
    let client = started(psql(&shop.proxy.url("shop", "shop")).args(["-c", claim, "-c", DELETE]));
    let hold = shop.proxy.held();
    let id = hold["id"].as_str().unwrap().to_owned();
    let mut person = shop.review();
    let question = format!("{id}: approve, deny, skip, show or quit? ");
    person.wait_for(&question);
    let told = person.screen();
    for part in [
        "Statement, line 1 of 1: ",
        "Who asks: shop (service)",
        "Reason the client claims, which nobody has checked: clean up",
        "What it does: delete table public.orders",
        "Risk: high; cannot be undone",
        "Policy: default.cedar",
        "Blast radius: ",
        "Touches: delete table public.order_items",
        "Trigger: orders_audit runs public.log_it()",
        "Expires: ",
    ] {
        assert!(told.contains(part), "{part} is missing in:\n{told}");
    }
    assert!(!told.contains('\u{1b}'), "no cursor movement, no colour: {told:?}");

    // `show` tells it again; then the conversation.
    let mut person = shop.review();
    person.answer(&question, "show", "Statement, line 1 of 1: ");
    person.answer(&question, "approve", "why do you approve it?");
    person.answer("Or back: ", "they are old", "up to how many rows?");
    person.answer("or back: ", "100000", "Type the name orders");
    // Neither a lone Enter nor a plain yes.
    person.answer("to go back: ", "", "Not confirmed");
    person.answer(&question, "approve", "why do you approve it?");
    person.answer("Or back: ", "they are old", "up to how many rows?");
    person.answer("or back: ", "100000", "Type the name orders");
    person.answer("to go back: ", "yes", "Not confirmed");
    shop.unchanged();
    person.answer(&question, "a", "why do you approve it?");
    person.answer("Or back: ", "they are old", "up to how many rows?");
    person.answer("or back: ", "100000", "Type the name orders");
    person.answer("to go back: ", "orders", &format!("{id} is approved"));
    person.wait_for("Nothing more waits to be looked at.");
    assert_eq!(person.ended(), Some(0));
    let client = Finished::of(client);
    assert_eq!(client.code, Some(0), "{}", client.stderr);
    assert!(client.stdout.contains(&format!("DELETE {doomed}")), "{}", client.stdout);
    let log = shop.proxy.done(&["audit", "search", "--json"]);
    assert!(log.contains("they are old") && log.contains("\"max_rows\":100000"), "{log}");
}

#[test]
fn what_is_typed_before_the_question_does_not_count() {
    let shop = Shop::open();
    let client = shop.send(DELETE);
    shop.proxy.held();
    let mut person = shop.review();
    // All of the answers at once, as somebody types who thinks of something else, or pastes.
    person.press("a\nold\n\norders\n");
    person.wait_for("What was typed before the question could be read does not count.");
    person.answer("show or quit? ", "a", "why do you approve it?");
    person.press("old\n\norders\norders\n");
    person.wait_for("does not count");
    shop.unchanged();
    // The end of the input decides nothing either.
    person.keys("Or back: ", "\u{4}", "nothing was decided");
    assert_eq!(person.ended(), Some(0));
    shop.unchanged();
    shop.proxy.deny_next("over");
    assert_ne!(Finished::of(client).code, Some(0));
}

#[test]
fn holds_are_skipped_denied_and_found_decided() {
    let shop = Shop::open();
    let first = shop.send("delete from orders where id = 1");
    let first_id = shop.proxy.held()["id"].as_str().unwrap().to_owned();
    let second = shop.send("delete from orders where id = 2");
    let second_id = shop.proxy.wait_for("a second hold", || {
        let holds = shop.proxy.holds();
        holds.iter().filter_map(|hold| hold["id"].as_str()).find(|id| *id != first_id).map(str::to_owned)
    });
    let mut person = shop.review();
    person.wait_for(&format!("Hold {first_id}. After it, 1 more to look at."));
    person.answer("show or quit? ", "s", &format!("Hold {second_id}."));
    person.answer("show or quit? ", "deny", "why do you deny it?");
    person.answer("Or back: ", "", "A reason is needed.");
    // Somebody else is faster.
    shop.proxy.done(&["holds", "deny", &second_id, "--reason", "mine"]);
    person.answer("Or back: ", "not today", "already decided by ");
    person.wait_for("Nothing more waits to be looked at.");
    assert_eq!(person.ended(), Some(0));
    assert!(Finished::of(second).stderr.contains("mine"));

    let mut person = shop.review();
    person.answer("show or quit? ", "d", "why do you deny it?");
    person.answer("Or back: ", "ask again on Monday", &format!("{first_id} is denied"));
    assert_eq!(person.ended(), Some(0));
    assert!(Finished::of(first).stderr.contains("ask again on Monday"));
    shop.unchanged();
}

#[test]
fn it_needs_a_terminal_to_ask() {
    let shop = Shop::open();
    let refused = finished(&mut shop.proxy.command(&["holds", "review"]));
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
    assert!(refused.stderr.contains("stdin is no terminal") && refused.stderr.contains("holds approve"));
}
