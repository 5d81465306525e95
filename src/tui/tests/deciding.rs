//! *Deciding*: a test for each sentence.

use super::*;
use crate::control::api::{ApproveBody, DenyBody, ErrorBody};
use crate::gate::view::ActionView;
use crate::sql::Action;

#[test]
fn a_opens_a_dialog_with_scope_row_bound_and_reason() {
    let desk = Desk::opened(80, 24, low("h-7k2m"), 'a');
    for words in ["Approve h-7k2m", "scope", "this statement with these values, once", "at most", "reason"] {
        assert!(desk.sees(words), "{words}: {}", desk.screen());
    }
}

#[test]
fn low_risk_is_confirmed_with_y() {
    let mut desk = Desk::reasoned(80, 24, low("h-7k2m"), 'a');
    let body = ApproveBody { reason: Some(REASON.to_owned()), max_rows: None, digest: Some("d".repeat(64)) };
    assert_eq!(desk.confirm(), [Command::Approve(id("h-7k2m"), body)]);
    // Once.
    assert_eq!(desk.confirm(), []);
}

#[test]
fn rows_and_reason_go_with_an_approval() {
    let mut desk = Desk::opened(80, 24, low("h-7k2m"), 'a');
    desk.write(REASON);
    desk.press(KeyCode::Up);
    desk.write("12x");
    assert_eq!(desk.confirm(), []);
    desk.press(KeyCode::Tab);
    desk.press(KeyCode::Tab);
    let body = ApproveBody { reason: Some(REASON.to_owned()), max_rows: Some(12), digest: Some("d".repeat(64)) };
    assert_eq!(desk.confirm(), [Command::Approve(id("h-7k2m"), body)]);
}

#[test]
fn high_risk_needs_the_tables_name_typed() {
    let mut desk = Desk::reasoned(80, 24, high("h-7k2m"), 'a');
    assert!(desk.sees("orders"));
    assert_eq!(decisions(&desk.confirm()), 0);
    desk.press(KeyCode::Backspace);
    desk.write("order");
    desk.press(KeyCode::Tab);
    assert_eq!(decisions(&desk.confirm()), 0, "{}", desk.screen());
    desk.press(KeyCode::BackTab);
    desk.write("s");
    desk.press(KeyCode::Tab);
    assert_eq!(decisions(&desk.confirm()), 1, "{}", desk.screen());
}

/// `with a as (delete from small ...), b as (delete from y ...) delete from customers`, and more behind it.
fn several(more: &[Action]) -> HoldView {
    let relations = vec![
        relation("small", Via::Statement, Rows::planner(1)),
        relation("y", Via::Statement, Rows::planner(1)),
        relation("customers", Via::Statement, Rows::planner(100_000)),
    ];
    let hold = high("h-7k2m");
    let action = hold.actions[0].clone();
    let more = more.iter().map(|more| ActionView { action: *more, name: "z".to_owned(), ..action.clone() });
    let actions = ["small", "y", "customers"].map(|name| ActionView { name: name.to_owned(), ..action.clone() });
    HoldView {
        actions: actions.into_iter().chain(more).collect(),
        radius: Some(Radius { relations, ..radius(Rows::planner(100_002)) }),
        ..hold
    }
}

#[test]
fn of_several_actions_the_worst_is_named_and_has_to_be_typed() {
    let mut desk = Desk::reasoned(140, 45, several(&[]), 'a');
    assert!(desk.sees("delete public.customers: ~ 100,000 rows, and 2 more: delete; ~"), "{}", desk.screen());
    desk.write("small");
    desk.press(KeyCode::Tab);
    assert!(desk.sees("type the name first"), "{}", desk.screen());
    let mut desk = Desk::reasoned(140, 45, several(&[]), 'a');
    desk.write("customers");
    desk.press(KeyCode::Tab);
    assert!(!desk.sees("type the name first"), "{}", desk.screen());

    let desk = Desk::opened(140, 45, several(&[Action::Set, Action::Drop]), 'a');
    assert!(desk.sees("drop public.z: ? rows, and 4 more: delete, set"), "{}", desk.screen());
}

#[test]
fn what_is_not_known_counts_as_high() {
    let unknown =
        [HoldView { radius: None, ..low("h-7k2m") }, HoldView { radius: Some(radius(Rows::UNKNOWN)), ..low("h-7k2m") }];
    for hold in unknown {
        let mut desk = Desk::reasoned(80, 24, hold, 'a');
        assert_eq!(decisions(&desk.confirm()), 0);
        assert!(desk.sees("type the name first"), "{}", desk.screen());
    }
}

#[test]
fn the_confirming_key_is_not_the_opening_key() {
    for (hold, opens) in [(low("h-7k2m"), 'a'), (high("h-7k2m"), 'a'), (low("h-7k2m"), 'd')] {
        assert_ne!(opens, crate::tui::dialog::CONFIRM);
        let mut desk = Desk::reasoned(80, 24, hold, opens);
        for _ in 0..5 {
            assert_eq!(decisions(&desk.key(opens)), 0);
            assert_eq!(decisions(&desk.press(KeyCode::Tab)), 0);
        }
    }
    // And the confirming key opens nothing and decides nothing outside of a dialog.
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    desk.key('j');
    desk.read();
    assert_eq!(desk.key('y'), [Command::Copy("h-7k2m".to_owned())]);
    assert!(desk.state.dialog.is_none());
}

#[test]
fn enter_never_approves() {
    for (hold, opens) in [(low("h-7k2m"), 'a'), (high("h-7k2m"), 'a'), (low("h-7k2m"), 'd')] {
        let mut desk = Desk::reasoned(80, 24, hold, opens);
        desk.write("orders");
        for _ in 0..10 {
            assert_eq!(decisions(&desk.press(KeyCode::Enter)), 0);
        }
    }
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    for _ in 0..10 {
        assert_eq!(decisions(&desk.press(KeyCode::Enter)), 0);
        assert!(desk.state.dialog.is_none());
    }
}

#[test]
fn no_shifted_key_is_more_powerful() {
    let modifiers = [KeyModifiers::SHIFT, KeyModifiers::NONE];
    for modifiers in modifiers {
        for key in ('A'..='Z').chain("!@#$%^&*()_+{}|:\"<>~".chars()) {
            let shifted = Event::Key(KeyEvent::new(KeyCode::Char(key), modifiers));
            let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
            desk.key('j');
            desk.read();
            assert_eq!(decisions(&desk.event(shifted.clone())), 0);
            assert!(desk.state.dialog.is_none(), "{key} opens a dialog");
            let mut desk = Desk::reasoned(80, 24, low("h-7k2m"), 'a');
            assert_eq!(decisions(&desk.event(shifted.clone())), 0, "{key} approves");
            let mut desk = Desk::opened(80, 24, low("h-7k2m"), 'd');
            desk.write("no");
            desk.press(KeyCode::Tab);
            assert_eq!(decisions(&desk.event(shifted)), 0, "{key} denies");
        }
    }
    let mut desk = Desk::reasoned(80, 24, low("h-7k2m"), 'a');
    let control_y = Event::Key(KeyEvent::new(KeyCode::Char('y'), KeyModifiers::CONTROL));
    assert_eq!(decisions(&desk.event(control_y)), 0);
}

#[test]
fn a_dialog_arms_after_half_a_second_and_drops_what_was_typed_before() {
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    desk.key('j');
    desk.read();
    desk.key('a');
    desk.write("too early");
    desk.press(KeyCode::Tab);
    assert_eq!(decisions(&desk.key('y')), 0);
    desk.wait(499);
    assert_eq!(decisions(&desk.key('y')), 0);
    assert!(desk.sees("keys typed before this was shown do not count"), "{}", desk.screen());
    desk.wait(1);
    assert!(desk.state.dialog.is_some());
    desk.write(REASON);
    desk.press(KeyCode::Tab);
    let body = ApproveBody { reason: Some(REASON.to_owned()), max_rows: None, digest: Some("d".repeat(64)) };
    assert_eq!(desk.confirm(), [Command::Approve(id("h-7k2m"), body)]);

    // Text as well.
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    desk.key('j');
    desk.key('d');
    desk.write("typed too early");
    desk.paste("pasted too early");
    desk.wait(500);
    desk.press(KeyCode::Tab);
    assert_eq!(decisions(&desk.confirm()), 0);
}

/// A terminal without bracketed paste sends what is pasted as keys.
#[test]
fn the_confirming_line_arms_half_a_second_after_it_got_the_focus() {
    for (opens, decides) in [('a', "y approves"), ('d', "y denies")] {
        let mut desk = Desk::opened(80, 24, low("h-7k2m"), opens);
        desk.write("pasted");
        desk.press(KeyCode::Enter);
        assert_eq!(decisions(&desk.write("yes, really y")), 0, "{}", desk.screen());
        assert!(desk.sees(&format!("{decides} in a moment")), "{}", desk.screen());
        assert_eq!(desk.state.next_change(), Some(desk.running + Duration::from_millis(500)));
        desk.wait(499);
        assert_eq!(decisions(&desk.key('y')), 0);
        desk.wait(1);
        assert_eq!(decisions(&desk.key('y')), 1, "{}", desk.screen());
    }
    // What it took to get back to it does not count for it.
    let mut desk = Desk::reasoned(80, 24, low("h-7k2m"), 'd');
    desk.press(KeyCode::BackTab);
    desk.press(KeyCode::Tab);
    assert_eq!(decisions(&desk.key('y')), 0);
    // Nor does the time in which it was not on the screen.
    let mut desk = Desk::opened(80, 24, low("h-7k2m"), 'd');
    desk.write("no");
    let tab = Event::Key(KeyEvent::new(KeyCode::Tab, KeyModifiers::NONE));
    desk.state.update(tab, moment(desk.running));
    desk.running += Duration::from_secs(60);
    let y = Event::Key(KeyEvent::new(KeyCode::Char('y'), KeyModifiers::NONE));
    assert_eq!(desk.state.update(y, moment(desk.running)), []);
}

#[test]
fn a_dialog_that_was_not_on_the_screen_does_not_arm() {
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    desk.key('j');
    desk.read();
    // The picture is late: all these keys are taken before it is drawn.
    let key = |key| Event::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE));
    desk.state.update(key('a'), moment(desk.running));
    desk.running += Duration::from_secs(60);
    assert_eq!(desk.state.update(key('y'), moment(desk.running)), []);
    desk.draw();
    assert_eq!(decisions(&desk.key('y')), 0);
    assert_eq!(desk.state.dialog.as_ref().map(|dialog| dialog.reason.text.as_str()), Some(""));
}

#[test]
fn the_clock_does_not_arm_a_dialog() {
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    desk.key('j');
    desk.read();
    desk.key('a');
    let jumped = Moment { at: moment(Duration::from_secs(60)).at, running: desk.running };
    let key = Event::Key(KeyEvent::new(KeyCode::Char('y'), KeyModifiers::NONE));
    assert_eq!(desk.state.update(key, jumped), []);
    assert_eq!(desk.state.dialog.as_ref().map(|dialog| dialog.reason.text.as_str()), Some(""));
}

#[test]
fn paste_is_ignored_outside_of_text_fields() {
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    assert_eq!(desk.paste("ja\ny\n"), []);
    assert_eq!((desk.selected(), desk.state.dialog.is_none()), (None, true));
    let mut desk = Desk::reasoned(80, 24, low("h-7k2m"), 'a');
    assert_eq!(desk.paste("y"), []);
    // A name has to be typed.
    let mut desk = Desk::reasoned(80, 24, high("h-7k2m"), 'a');
    desk.paste("orders");
    desk.press(KeyCode::Tab);
    assert_eq!(decisions(&desk.confirm()), 0);
    // In a text field it is text, on one line.
    let mut desk = Desk::opened(80, 24, low("h-7k2m"), 'd');
    desk.paste("not\ntoday\u{202e}");
    desk.press(KeyCode::Tab);
    let body = DenyBody { reason: Some("not today".to_owned()), digest: Some("d".repeat(64)) };
    assert_eq!(desk.confirm(), [Command::Deny(id("h-7k2m"), body)]);
}

#[test]
fn approve_stays_off_until_the_end_of_the_statement_was_on_the_screen() {
    let long = HoldView { sql: format!("DELETE FROM orders WHERE id IN ({}0)", "1,\n".repeat(300)), ..low("h-7k2m") };
    let mut desk = Desk::connected(80, 24, vec![long]);
    desk.key('j');
    desk.key('a');
    assert!(desk.state.dialog.is_none() && desk.sees("read the statement to its end first"), "{}", desk.screen());
    desk.press(KeyCode::Enter);
    for _ in 0..200 {
        desk.press(KeyCode::Down);
    }
    desk.key('a');
    assert!(desk.state.dialog.is_none());
    desk.read();
    desk.key('a');
    assert!(desk.state.dialog.is_some(), "{}", desk.screen());
}

#[test]
fn the_end_behind_a_help_page_or_on_a_small_terminal_was_not_on_the_screen() {
    let long = HoldView { sql: format!("DELETE FROM orders WHERE id IN ({}0)", "1,\n".repeat(20)), ..low("h-7k2m") };
    let key = crate::tui::holds::HoldKey::of(&long);
    let mut desk = Desk::connected(80, 24, vec![long]);
    desk.key('j');
    desk.key('?');
    desk.resize(80, 80);
    assert!(!desk.state.has_seen(&key), "{}", desk.screen());
    desk.key('?');
    assert!(desk.state.has_seen(&key), "{}", desk.screen());
    let mut desk = Desk::connected(59, 15, vec![low("h-7k2m")]);
    desk.key('j');
    desk.read();
    desk.key('a');
    assert!(desk.state.dialog.is_none() && desk.sees("too small"), "{}", desk.screen());
}

#[test]
fn what_is_too_long_to_be_shown_is_not_approved() {
    let huge = HoldView { sql: format!("DELETE FROM orders -- {}", "x".repeat(2 << 20)), ..low("h-7k2m") };
    let mut desk = Desk::connected(80, 24, vec![huge]);
    desk.key('j');
    desk.read();
    desk.key('a');
    assert!(desk.state.dialog.is_none() && desk.sees("too long to be judged here"), "{}", desk.screen());
}

#[test]
fn what_is_typed_in_a_shell_instead_names_the_same_proxy() {
    let huge = HoldView { sql: format!("DELETE FROM orders -- {}", "x".repeat(2 << 20)), ..low("h-7k2m") };
    let mut desk = Desk::new(140, 45);
    desk.state = State::new(Options::default(), Size { width: 140, height: 45 }, moment(desk.running))
        .at("--data '/a'".to_owned());
    desk.told(Message::Connected(vec![huge]));
    desk.key('j');
    assert!(desk.sees("pgsluice holds show h-7k2m --data '/a' | less"), "{}", desk.screen());
    assert!(desk.sees("--reason '...' --data '/a'"), "{}", desk.screen());
}

#[test]
fn nothing_is_approved_while_its_radius_is_computed() {
    let mut desk = Desk::connected(80, 24, vec![HoldView { radius: None, radius_pending: true, ..low("h-7k2m") }]);
    desk.key('j');
    desk.read();
    desk.key('a');
    assert!(desk.state.dialog.is_none() && desk.sees("still being computed"), "{}", desk.screen());
}

#[test]
fn d_denies_with_a_reason() {
    let mut desk = Desk::opened(80, 24, low("h-7k2m"), 'd');
    desk.press(KeyCode::Tab);
    assert_eq!(desk.confirm(), []);
    assert!(desk.sees("say why first"), "{}", desk.screen());
    desk.press(KeyCode::BackTab);
    desk.write("ask again on Monday");
    desk.press(KeyCode::Enter);
    let body = DenyBody { reason: Some("ask again on Monday".to_owned()), digest: Some("d".repeat(64)) };
    assert_eq!(desk.confirm(), [Command::Deny(id("h-7k2m"), body)]);
}

#[test]
fn an_approval_needs_a_reason_whatever_the_risk() {
    for hold in [low("h-7k2m"), high("h-7k2m")] {
        let mut desk = Desk::opened(80, 24, hold.clone(), 'a');
        desk.write("  ");
        desk.press(KeyCode::Tab);
        if desk.state.dialog.as_ref().is_some_and(|dialog| dialog.asked_name().is_some()) {
            desk.write("orders");
            desk.press(KeyCode::Tab);
        }
        assert_eq!(decisions(&desk.confirm()), 0);
        assert!(desk.sees("y approves: say why first"), "{}", desk.screen());
    }
}

#[test]
fn a_denial_needs_no_reading() {
    let long = HoldView { sql: format!("DELETE FROM orders WHERE id IN ({}0)", "1,\n".repeat(300)), ..low("h-7k2m") };
    let mut desk = Desk::connected(80, 24, vec![long]);
    desk.key('j');
    desk.key('d');
    assert!(desk.state.dialog.is_some());
}

#[test]
fn a_race_says_already_decided_by_bob() {
    // Seen while the dialog is open.
    let mut desk = Desk::reasoned(80, 24, low("h-7k2m"), 'a');
    desk.told(held(ended(low("h-7k2m"), HoldState::Denied, Some("bob"), Some("no"))));
    assert!(desk.sees("already decided by bob"), "{}", desk.screen());
    assert_eq!(decisions(&desk.confirm()), 0);

    // Told in answer to our own.
    let mut desk = Desk::reasoned(80, 24, low("h-7k2m"), 'a');
    desk.confirm();
    let error = ErrorBody {
        error: "h-7k2m is already decided by bob: denied".to_owned(),
        hint: None,
        code: "denied".to_owned(),
    };
    desk.told(Message::Decided(id("h-7k2m"), Err(error)));
    assert!(desk.sees("already decided by bob"), "{}", desk.screen());
    assert_eq!(decisions(&desk.confirm()), 0);

    // Seen before anything is opened.
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    desk.key('j');
    desk.read();
    desk.told(held(ended(low("h-7k2m"), HoldState::Approved, Some("bob"), None)));
    desk.key('a');
    assert!(desk.state.dialog.is_none() && desk.sees("already decided by bob"), "{}", desk.screen());
}

#[test]
fn our_own_decision_is_no_race() {
    let mut desk = Desk::reasoned(80, 24, low("h-7k2m"), 'a');
    desk.confirm();
    let approved = ended(low("h-7k2m"), HoldState::Approved, Some("alice"), None);
    desk.told(held(approved.clone()));
    assert!(!desk.sees("already decided"), "{}", desk.screen());
    desk.told(Message::Decided(id("h-7k2m"), Ok(Box::new(approved))));
    assert!(
        desk.state.dialog.is_none() && desk.sees("h-7k2m is approved: the statement runs now"),
        "{}",
        desk.screen()
    );
}

#[test]
fn a_ticket_is_called_one_and_its_approval_runs_nothing_now() {
    let ticket = || HoldView { wait: Wait::Ticket, ..low("h-7k2m") };
    let mut desk = Desk::connected(140, 45, vec![ticket()]);
    assert!(desk.sees("ticket DELETE"), "{}", desk.screen());
    desk.key('j');
    assert!(desk.sees("ticket    its client does not wait"), "{}", desk.screen());
    let mut desk = Desk::reasoned(140, 45, ticket(), 'a');
    assert!(desk.sees("scope    ticket: this statement") && !desk.sees("in its session"), "{}", desk.screen());
    assert_eq!(decisions(&desk.confirm()), 1);
    let approved = ended(ticket(), HoldState::Approved, Some("alice"), None);
    desk.told(Message::Decided(id("h-7k2m"), Ok(Box::new(approved))));
    assert!(desk.sees("is approved: the same statement passes once, within 13 min 5"), "{}", desk.screen());
    assert!(!desk.sees("runs now"), "{}", desk.screen());
    // What waits in flight is none.
    assert!(!Desk::opened(140, 45, low("h-7k2m"), 'a').sees("ticket"));
}

#[test]
fn what_the_filter_hides_is_not_decided() {
    for opens in ['a', 'd'] {
        let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
        desk.key('j');
        desk.read();
        desk.key('/');
        desk.write("nothing like it");
        desk.press(KeyCode::Enter);
        desk.key(opens);
        assert!(desk.state.dialog.is_none() && desk.sees("nothing is selected"), "{}", desk.screen());
        // It is selected again when it is there again.
        desk.press(KeyCode::Esc);
        assert_eq!(desk.selected().as_deref(), Some("h-7k2m"));
    }
}

#[test]
fn the_dialog_shows_the_time_left_and_counts_one_as_one() {
    let mut desk = Desk::opened(80, 24, high("h-7k2m"), 'a');
    assert!(desk.sees("Approve h-7k2m, expires in 14:00") && desk.sees("1 more relation "), "{}", desk.screen());
    desk.wait(10_000);
    assert!(desk.sees("expires in 13:50"), "{}", desk.screen());
    assert!(Desk::opened(80, 24, low("h-7k2m"), 'a').sees("= 1 row "));
}

#[test]
fn a_field_is_as_wide_whatever_is_typed() {
    let edge = |text: &str| {
        let mut desk = Desk::opened(80, 24, low("h-7k2m"), 'd');
        desk.write(text);
        let row = u16::try_from(desk.row_of("reason").expect("it is there")).expect("small");
        (0..80).find(|x| desk.buffer()[(*x, row)].symbol() == "]")
    };
    assert!(edge("").is_some());
    for text in ["ascii", "日本語", &"日本語".repeat(30), &"x".repeat(90)] {
        assert_eq!(edge(text), edge(""), "{text}");
    }
}

#[test]
fn what_differs_from_what_was_shown_is_not_decided() {
    for opens in ['a', 'd'] {
        let mut desk = Desk::opened(80, 24, low("h-7k2m"), opens);
        desk.told(held(HoldView { digest: "e".repeat(64), ..low("h-7k2m") }));
        assert!(desk.sees("not what you looked at any more"), "{}", desk.screen());
        desk.write("no");
        desk.press(KeyCode::Tab);
        assert_eq!(decisions(&desk.confirm()), 0);
    }
}

#[test]
fn an_id_that_is_used_again_is_another_hold() {
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    desk.key('j');
    desk.read();
    desk.told(held(ended(low("h-7k2m"), HoldState::Denied, Some("bob"), None)));
    desk.told(held(HoldView {
        created_at: "2026-01-01T03:00:01.000Z".to_owned(),
        sql: "DROP TABLE orders".to_owned(),
        ..low("h-7k2m")
    }));
    desk.key('a');
    assert!(desk.state.dialog.is_none(), "{}", desk.screen());
}

#[test]
fn a_refusal_can_be_tried_again() {
    let mut desk = Desk::reasoned(80, 24, low("h-7k2m"), 'a');
    desk.confirm();
    let error = ErrorBody {
        error: "bob cannot approve a statement of their own".to_owned(),
        hint: Some("ask".to_owned()),
        code: "own_statement".to_owned(),
    };
    desk.told(Message::Decided(id("h-7k2m"), Err(error)));
    assert!(desk.sees("not taken: bob cannot approve a statement of their own"), "{}", desk.screen());
    assert_eq!(decisions(&desk.confirm()), 1);
}

#[test]
fn what_is_over_is_not_decided() {
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    desk.key('j');
    desk.read();
    desk.wait(15 * 60 * 1000);
    desk.key('a');
    assert!(desk.state.dialog.is_none(), "{}", desk.screen());
    desk.key('d');
    assert!(desk.state.dialog.is_none(), "{}", desk.screen());
}
