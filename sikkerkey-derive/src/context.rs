use std::fmt::Display;

use proc_macro2::Span;
use quote::ToTokens;

/// The mistakes of one struct, in the order in which they were found.
///
/// It must be [checked](Self::check). Dropping it unchecked panics, so that no code path can lose a mistake.
pub(crate) struct Context {
    mistakes: Option<Vec<syn::Error>>,
}

impl Context {
    pub(crate) fn new() -> Self {
        Context {
            mistakes: Some(Vec::new()),
        }
    }

    /// Reports a mistake; all of `place` is underlined.
    pub(crate) fn mistake(&mut self, place: impl ToTokens, text: impl Display) {
        self.add(syn::Error::new_spanned(place, printable(text)));
    }

    /// Reports a mistake at one token.
    pub(crate) fn mistake_at(&mut self, place: Span, text: impl Display) {
        self.add(syn::Error::new(place, printable(text)));
    }

    /// Reports a mistake that points at two places.
    pub(crate) fn mistake_between(
        &mut self,
        (place, text): (Span, impl Display),
        (other, note): (Span, impl Display),
    ) {
        let mut error = syn::Error::new(place, printable(text));
        error.combine(syn::Error::new(other, printable(note)));
        self.add(error);
    }

    /// Reports what the parser did not understand.
    pub(crate) fn push(&mut self, error: syn::Error) {
        for error in error {
            self.mistake_at(error.span(), &error);
        }
    }

    fn add(&mut self, error: syn::Error) {
        if let Some(mistakes) = &mut self.mistakes {
            mistakes.push(error);
        }
    }

    /// Returns all mistakes as one error.
    pub(crate) fn check(mut self) -> syn::Result<()> {
        let all = self.mistakes.take().unwrap_or_default();
        match all.into_iter().reduce(|mut all, next| {
            all.combine(next);
            all
        }) {
            None => Ok(()),
            Some(all) => Err(all),
        }
    }
}

/// The text in one line. What it quotes from the source may have line breaks, or characters that cannot be seen.
fn printable(text: impl Display) -> String {
    let mut line = String::new();
    for c in text.to_string().chars() {
        match c {
            '"' | '\'' | '\\' => line.push(c),
            c => line.extend(c.escape_debug()),
        }
    }
    line
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.mistakes.is_some() && !std::thread::panicking() {
            panic!("the mistakes of a struct were dropped without a look at them");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_in_the_one_error() {
        let mut context = Context::new();
        context.mistake_at(Span::call_site(), "one");
        context.mistake_between((Span::call_site(), "two"), (Span::call_site(), "three"));
        let texts: Vec<_> = match context.check() {
            Ok(()) => Vec::new(),
            Err(all) => all.into_iter().map(|one| one.to_string()).collect(),
        };
        assert_eq!(texts, ["one", "two", "three"]);
    }

    #[test]
    #[should_panic(expected = "dropped without a look")]
    fn dropping_it_unchecked_is_a_bug() {
        drop(Context::new());
    }
}
