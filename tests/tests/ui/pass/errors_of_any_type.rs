//! `validate`, `from_str` and `with` return any error.
use std::borrow::Cow;
use std::error::Error;
use std::num::ParseIntError;

use sikkerkey::{ConfigError, SikkerKeyConfig};

macro_rules! configs {
    ($($config:ident: $error:ty;)*) => {$(
        #[derive(SikkerKeyConfig)]
        #[sikkerkey(secret = "sk_db", validate = "Self::check")]
        struct $config {
            #[sikkerkey(with = "Self::parse")]
            host: String,
            #[sikkerkey(from_str)]
            port: u16,
        }

        impl $config {
            fn check(&self) -> Result<(), $error> {
                let _ = (&self.host, self.port);
                Ok(())
            }

            fn parse(text: &str) -> Result<String, $error> {
                Ok(text.to_owned())
            }
        }
    )*};
}

configs! {
    Static: &'static str;
    Owned: String;
    Either: Cow<'static, str>;
    Number: ParseIntError;
    Boxed: Box<dyn Error>;
    BoxedSend: Box<dyn Error + Send + Sync>;
    Ours: ConfigError;
    Nothing: ();
}

fn main() {}
