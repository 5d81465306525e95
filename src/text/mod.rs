//! What people are shown: text that others wrote, made safe to print, and excerpts that underline a
//! place in a source. Pure.

pub mod excerpt;
pub mod json;
pub mod untrusted;

pub use excerpt::Excerpt;
pub use untrusted::Untrusted;
