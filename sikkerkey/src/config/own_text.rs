//! Which error texts of user code may be shown in a report, in the status or in an event.
//!
//! One rule for all: `from_str`, `with`, `validate`, probes and builds of resources may return any error. Its
//! text is shown if it is a `&'static str`, which cannot contain a secret, or if the error is of this crate,
//! which never quotes one. Any other text may quote the secret, and is dropped.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error as StdError;

use super::error::ConfigError;
use super::from_secret::ValueError;
use crate::error::Error;

/// Returns the error's text if it may be shown.
pub(crate) fn own_text(error: &dyn Any) -> Option<Cow<'static, str>> {
    if let Some(text) = error.downcast_ref::<&'static str>() {
        return Some(Cow::Borrowed(text));
    }
    if let Some(Cow::Borrowed(text)) = error.downcast_ref::<Cow<'static, str>>() {
        return Some(Cow::Borrowed(text));
    }
    if let Some(error) = error.downcast_ref::<Box<dyn StdError + Send + Sync>>() {
        return of_this_crate(&**error);
    }
    if let Some(error) = error.downcast_ref::<Box<dyn StdError>>() {
        return of_this_crate(&**error);
    }
    if let Some(error) = error.downcast_ref::<ValueError>() {
        return Some(error.reason().into());
    }
    shown::<Error>(error).or_else(|| shown::<ConfigError>(error))
}

/// Returns the error's text, or says what failed and that the text is not shown.
pub(crate) fn words_of(error: &dyn Any, what: &'static str) -> Cow<'static, str> {
    match own_text(error) {
        Some(text) if !text.is_empty() => text,
        _ => format!("{what} (the error's text is not shown: it could quote a secret)").into(),
    }
}

fn shown<E: StdError + 'static>(error: &dyn Any) -> Option<Cow<'static, str>> {
    Some(error.downcast_ref::<E>()?.to_string().into())
}

fn of_this_crate(error: &(dyn StdError + 'static)) -> Option<Cow<'static, str>> {
    if let Some(error) = error.downcast_ref::<ValueError>() {
        return Some(error.reason().into());
    }
    let client = error.downcast_ref::<Error>().map(Error::to_string);
    let config = || {
        error
            .downcast_ref::<ConfigError>()
            .map(ConfigError::to_string)
    };
    client.or_else(config).map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_was_in_the_program_is_shown_and_other_text_is_not() {
        fn words(error: impl Any) -> String {
            words_of(&error, "it failed").into_owned()
        }
        const HIDDEN: &str = "it failed (the error's text is not shown: it could quote a secret)";
        let refused = || Error::from(crate::error::ErrorKind::NotFound);
        assert_eq!(words("no connection"), "no connection");
        assert_eq!(words(Cow::Borrowed("no connection")), "no connection");
        assert_eq!(words(ValueError::new("outside 1 to 9")), "outside 1 to 9");
        assert_eq!(words(refused()), "not found");
        let config = ConfigError::from(refused());
        assert_eq!(words(config.clone()), config.to_string());
        type Boxed = Box<dyn StdError + Send + Sync>;
        assert_eq!(words(Boxed::from(refused())), "not found");
        assert_eq!(words(Box::<dyn StdError>::from(refused())), "not found");

        assert_eq!(words("hunter2".to_owned()), HIDDEN);
        assert_eq!(words(Cow::<str>::Owned("hunter2".to_owned())), HIDDEN);
        assert_eq!(words(Boxed::from("hunter2")), HIDDEN);
        assert_eq!(words(std::io::Error::other("hunter2")), HIDDEN);
        assert_eq!(words(()), HIDDEN);
        assert_eq!(words(""), HIDDEN);
    }
}
