//! The one boundary where a panic is caught.
//!
//! The store's library panics on some files that something else than itself has changed. Finding such changes is what
//! verification is for, so here, and nowhere else, a panic is turned into an error.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a call into the store; a panic becomes an error that says what it said.
///
/// Nothing that the call used may be used again after a panic, other than being dropped.
pub(super) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    let outer = GUARDED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(outer);
    result.map_err(|payload| {
        let message = payload
            .downcast_ref::<&str>()
            .map(|message| (*message).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        format!("the store cannot be read: {message}")
    })
}

/// Keeps panics that become errors from being printed as well. For the command line; once a process.
pub fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                default(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        quiet();
        assert_eq!(guarded(|| 1), Ok(1));
        let error = guarded(|| panic!("page {}", 7)).map(|(): ()| ()).unwrap_err();
        assert_eq!(error, "the store cannot be read: page 7");
        assert!(!GUARDED.get());
    }
}
