//! In a function, in a closure's body, in a macro, in a constant block; with `cfg` on fields.
#![deny(warnings)]

use sikkerkey::{SikkerKeyConfig, Snapshot};

macro_rules! config {
    ($name:ident, $secret:literal, $($field:ident: $ty:ty = $default:expr),* $(,)?) => {
        #[derive(SikkerKeyConfig)]
        #[sikkerkey(secret = $secret)]
        struct $name {
            $(#[sikkerkey(default = $default)] $field: $ty,)*
            own: Option<u8>,
        }
    };
}

config!(ByMacro, "sk_a", port: u16 = 2 + 3, host: String = "db", text: String = String::from("x"));

macro_rules! optional {
    ($ty:ty) => {
        #[derive(SikkerKeyConfig)]
        #[sikkerkey(secret = "sk_a")]
        struct ByType {
            plain: $ty,
            #[sikkerkey(json)]
            json: $ty,
        }
    };
}

optional!(Option<u8>);

#[derive(SikkerKeyConfig)]
#[sikkerkey(secret = "sk_a")]
struct WithCfg {
    #[cfg(any())]
    gone: NoSuchType,
    #[cfg(all())]
    here: u8,
    #[cfg_attr(all(), sikkerkey(default = 4))]
    four: u8,
}

type Maybe = Option<u8>;

fn main() {
    #[derive(SikkerKeyConfig)]
    #[sikkerkey(secret = "sk_a")]
    struct Local {
        here: u8,
        alias: Maybe,
    }
    let build = || {
        #[derive(SikkerKeyConfig)]
        struct Deeper {
            #[sikkerkey(nested)]
            local: Local,
        }
        Deeper::from_snapshot(&Snapshot::from_iter([("sk_a", r#"{"here": 1}"#)]))
    };
    let local = build().expect("all that is needed is there").local;
    assert_eq!((local.here, local.alias), (1, None));

    let snapshot = Snapshot::from_iter([("sk_a", r#"{"here": 1}"#)]);
    let by_macro = ByMacro::from_snapshot(&snapshot).expect("everything has a default");
    assert_eq!((by_macro.port, by_macro.host.as_str(), by_macro.text.as_str()), (5, "db", "x"));
    assert_eq!(by_macro.own, None);
    let by_type = ByType::from_snapshot(&snapshot).expect("both are options");
    assert_eq!((by_type.plain, by_type.json), (None, None));
    let with_cfg = WithCfg::from_snapshot(&snapshot).expect("one of two is there");
    assert_eq!((with_cfg.here, with_cfg.four), (1, 4));
}
