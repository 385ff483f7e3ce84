//! The guide: from the first struct to a service that runs for months.
//!
//! This module exists in the documentation only. Its pages are the folder `sikkerkey/docs` of the repository.
//!
//! # In the repository
//!
//! - `examples/README.md`: programs to run, what each shows and prints
//! - `benches/README.md`: how each figure of the front page was measured
//! - `SECURITY.md`: who is trusted, what is wiped, what fails open or closed

// What a page links to comes before the page: of two definitions of a link, Markdown takes the first.
macro_rules! pages {
    ($($page:ident: $file:literal),* $(,)?) => {
        $(
            #[doc = include_str!("../docs/rustdoc-links.txt")]
            #[doc = include_str!("../docs/rustdoc-pictures.txt")]
            #[doc = include_str!(concat!("../docs/", $file, ".md"))]
            pub mod $page {}
        )*
    };
}

pages! {
    config: "config",
    live: "live",
    testing: "testing",
    deploy: "deploy",
    tls: "tls",
    figment_and_rocket: "figment-and-rocket",
    migrating: "migrating",
    faq: "faq",
}
