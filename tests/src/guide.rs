//! The pages of the guide, so that their Rust blocks are compiled and run. What they need of other crates is here, and not in
//! `sikkerkey`.

macro_rules! pages {
    ($($page:ident: $file:literal),* $(,)?) => {
        $(#[doc = include_str!(concat!("../../sikkerkey/docs/", $file, ".md"))] mod $page {})*
    };
}

#[doc = include_str!("../../sikkerkey-derive/README.md")]
mod derive {}

pages! {
    config: "config",
    deploy: "deploy",
    faq: "faq",
    figment_and_rocket: "figment-and-rocket",
    live: "live",
    migrating: "migrating",
    testing: "testing",
    tls: "tls",
}
