//! *Calm*: a test for each sentence.

use ratatui::style::Color;

use super::*;
use crate::tui::event::{Bell, Notify, Tab};
use crate::tui::theme::{Colors, Theme};

/// The id of a hold by its number.
fn name(number: usize) -> String {
    const LETTERS: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";
    let letter = |place: u32| char::from(LETTERS[number / LETTERS.len().pow(place) % LETTERS.len()]);
    format!("h-{}{}{}{}", letter(3), letter(2), letter(1), letter(0))
}

fn expiring(number: usize, second: usize) -> HoldView {
    let expires_at = format!("2026-01-01T03:{:02}:{:02}.000Z", second / 60, second % 60);
    HoldView { expires_at, ..low(&name(number)) }
}

#[test]
fn new_requests_never_move_the_cursor() {
    for (width, height) in [(60, 16), (80, 24), (140, 45)] {
        let mut desk = Desk::connected(width, height, (0..4).map(|n| expiring(n, 600 + n)).collect());
        desk.key('j');
        desk.key('j');
        let (selected, row) = (desk.selected(), desk.cursor_row());
        assert_eq!(selected, Some(name(1)));
        assert!(row.is_some(), "{}", desk.screen());
        for n in 10..40 {
            // More urgent ones and less urgent ones.
            desk.told(held(expiring(n, if n % 2 == 0 { 300 + n } else { 800 + n })));
            assert_eq!((desk.selected(), desk.cursor_row()), (selected.clone(), row), "{}", desk.screen());
        }
        assert!(desk.sees("15 above"), "{}", desk.screen());
        // And the next step goes on from there.
        desk.key('k');
        assert_eq!(desk.selected(), Some(name(0)));
    }
}

#[test]
fn new_requests_never_take_the_focus() {
    let mut desk = Desk::connected(80, 24, Vec::new());
    desk.told(held(low("h-7k2m")));
    assert_eq!(desk.selected(), None);
    desk.key('/');
    desk.write("x");
    desk.told(held(low("h-2222")));
    desk.write("y");
    assert_eq!(desk.state.filter(), "xy");
    desk.press(KeyCode::Esc);

    let mut desk = Desk::opened(80, 24, low("h-7k2m"), 'd');
    desk.write("be");
    desk.told(held(expiring(3, 61)));
    desk.write("cause");
    assert!(desk.sees("because") && desk.sees("Deny h-7k2m"), "{}", desk.screen());

    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    desk.key('4');
    desk.told(held(low("h-2222")));
    assert_eq!(desk.state.tab, Tab::Audit);
}

#[test]
fn selection_is_by_id() {
    let mut desk = Desk::connected(80, 24, (0..4).map(|n| expiring(n, 600 + n)).collect());
    desk.key('j');
    desk.key('j');
    // Those before it end.
    desk.told(held(ended(expiring(0, 600), HoldState::Denied, Some("bob"), None)));
    assert_eq!(desk.selected(), Some(name(1)));
    // It ends itself: it stays where it is until the cursor moves.
    let row = desk.cursor_row();
    desk.told(held(ended(expiring(1, 601), HoldState::Denied, Some("bob"), None)));
    assert_eq!((desk.selected(), desk.cursor_row()), (Some(name(1)), row));
    assert!(desk.sees("already decided by bob"), "{}", desk.screen());
    desk.key('j');
    assert_eq!(desk.selected(), Some(name(2)));
    desk.key('j');
    assert!(!desk.sees(&name(1)), "{}", desk.screen());
}

#[test]
fn what_is_told_late_changes_nothing() {
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    desk.told(held(ended(low("h-7k2m"), HoldState::Denied, Some("bob"), None)));
    desk.told(held(low("h-7k2m")));
    assert!(desk.sees("Waiting: 0"), "{}", desk.screen());
}

#[test]
fn a_bell_is_optional() {
    let mut silent = Desk::connected(80, 24, Vec::new());
    assert_eq!(silent.told(held(low("h-7k2m"))), []);
    let options = Options { bell: Bell::Rings, ..Options::default() };
    let mut rings = Desk::with(80, 24, options);
    rings.told(Message::Connected(Vec::new()));
    assert_eq!(rings.told(held(low("h-7k2m"))), [Command::Bell]);
    // Only what is new rings.
    assert_eq!(rings.told(held(HoldView { digest: "e".repeat(64), ..low("h-7k2m") })), []);
    assert_eq!(rings.told(held(ended(low("h-7k2m"), HoldState::Expired, None, None))), []);
}

#[test]
fn the_desktop_is_told_where_asked_and_only_numbers_and_words_of_ours() {
    let hostile =
        HoldView { sql: "DROP \u{1b}]0;x\u{7} t".to_owned(), identity: "\u{7}evil".to_owned(), ..low("h-7k2m") };
    let told = |notify: Option<Notify>, holds: &[HoldView]| {
        let mut desk = Desk::with(80, 24, Options { notify, ..Options::default() });
        desk.told(Message::Connected(Vec::new()));
        let mut commands: Vec<Command> = holds.iter().flat_map(|hold| desk.told(held(hold.clone()))).collect();
        // Only what is new.
        commands.extend(desk.told(held(HoldView { digest: "e".repeat(64), ..holds[0].clone() })));
        let written = commands.into_iter().map(|command| match command {
            Command::Notify(alert) => alert.escape_sequence(),
            other => panic!("{other:?}"),
        });
        written.collect::<Vec<_>>()
    };
    assert_eq!(told(None, std::slice::from_ref(&hostile)), [""; 0]);
    let two = [hostile, HoldView { risk: Level::Critical, ..low("h-2222") }];
    assert_eq!(
        told(Some(Notify::Osc9), &two),
        [
            "\x1b]9;pgsluice: 1 statement waits for approval, highest risk: medium\x07",
            "\x1b]9;pgsluice: 2 statements wait for approval, highest risk: CRITICAL\x07"
        ]
    );
    assert_eq!(
        told(Some(Notify::Osc777), &two[1..]),
        ["\x1b]777;notify;pgsluice;1 statement waits for approval, highest risk: CRITICAL\x07"]
    );
}

fn lost() -> Desk {
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m"), high("h-2222")]);
    desk.key('j');
    desk.read();
    desk.running += Duration::from_secs(1);
    desk.told(Message::Lost("the proxy has stopped".to_owned()));
    desk.wait(11_000);
    desk
}

#[test]
fn a_lost_connection_greys_everything() {
    let desk = lost();
    let area = desk.buffer().area;
    for y in 0..area.height {
        for x in 0..area.width {
            let cell = &desk.buffer()[(x, y)];
            // The banner alone stands out.
            if y != 1 {
                assert_eq!((cell.fg, cell.bg), (Color::DarkGray, Color::Reset), "{x},{y}: {cell:?}");
                assert!(cell.modifier.is_empty(), "{x},{y}: {cell:?}");
            }
        }
    }
    assert_eq!(desk.buffer()[(5, 1)].bg, Color::Yellow);
}

#[test]
fn a_lost_connection_shows_how_old_everything_is() {
    let mut desk = lost();
    assert!(desk.sees("NOT CONNECTED: what is shown is 12 s old, from 03:00:00 UTC"), "{}", desk.screen());
    desk.wait(60_000);
    assert!(desk.sees("1 min 12 s old"), "{}", desk.screen());
    assert!(desk.state.next_change().is_some_and(|at| at <= desk.running + Duration::from_secs(1)));
}

#[test]
fn a_lost_connection_disables_deciding() {
    let mut desk = lost();
    for key in ['a', 'd', 's', 'c', 'w'] {
        assert_eq!(desk.key(key), []);
        assert!(desk.state.dialog.is_none());
    }
    // A dialog that is open takes no decision.
    for (hold, opens) in [(low("h-7k2m"), 'a'), (low("h-7k2m"), 'd')] {
        let mut desk = Desk::opened(80, 24, hold.clone(), opens);
        desk.write("no");
        desk.press(KeyCode::Tab);
        desk.told(Message::Lost("gone".to_owned()));
        assert_eq!(decisions(&desk.confirm()), 0);
        assert!(desk.sees("nothing can be decided"), "{}", desk.screen());
        // When it is there again and the hold is as it was, the dialog goes on.
        desk.told(Message::Connected(vec![hold]));
        desk.press(KeyCode::Tab);
        assert_eq!(decisions(&desk.confirm()), 1, "{}", desk.screen());
    }
}

#[test]
fn silence_is_a_lost_connection() {
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    desk.wait(30_000);
    assert!(!desk.sees("NOT CONNECTED"));
    desk.told(Message::Alive);
    desk.wait(30_000);
    assert!(!desk.sees("NOT CONNECTED"));
    desk.wait(30_000);
    assert!(desk.sees("NOT CONNECTED"), "{}", desk.screen());
}

#[test]
fn a_proxy_that_was_started_again_knows_none_of_the_old_holds() {
    let mut desk = lost();
    desk.told(Message::Connected(vec![expiring(5, 700)]));
    assert!(desk.sees("Waiting: 1"), "{}", desk.screen());
    desk.key('a');
    assert!(desk.state.dialog.is_none(), "{}", desk.screen());
}

#[test]
fn a_decision_under_way_when_the_connection_is_lost_is_not_known() {
    let mut desk = Desk::reasoned(80, 24, low("h-7k2m"), 'a');
    desk.confirm();
    desk.told(Message::Lost("gone".to_owned()));
    assert!(desk.sees("whether this was decided is not known"), "{}", desk.screen());
}

#[test]
fn nothing_happens_by_itself_where_nothing_waits() {
    let mut desk = Desk::connected(80, 24, Vec::new());
    desk.wait(1);
    assert_eq!(desk.state.next_change(), None);
    desk.told(held(low("h-7k2m")));
    assert_eq!(desk.state.next_change(), Some(desk.running + Duration::from_secs(1)));
    desk.key('3');
    assert_eq!(desk.state.next_change(), None);
}

#[test]
fn without_colours_a_lost_connection_is_dim() {
    let theme = Theme { colors: Colors::None, ..Theme::default() };
    let mut desk = Desk::with(80, 24, Options { theme, ..Options::default() });
    desk.told(Message::Connected(vec![high("h-7k2m")]));
    desk.told(Message::Lost("gone".to_owned()));
    let cell = &desk.buffer()[(5, 0)];
    assert_eq!((cell.fg, cell.modifier), (Color::Reset, ratatui::style::Modifier::DIM));
}
