//! `pgsluice demo`: a throwaway Postgres with a shop in it, and the proxy in front.

pub mod throwaway;
