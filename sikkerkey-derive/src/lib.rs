//! The derive macro of the `sikkerkey` crate.
