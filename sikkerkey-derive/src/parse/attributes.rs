use proc_macro2::{Ident, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Expr, Lit, LitStr, Meta, Token};

use super::key::{Key, Level, Takes};
use super::value;
use crate::context::Context;

/// The `#[sikkerkey(…)]` attributes of one struct or field, each key at most once.
pub(super) struct Attributes {
    items: Vec<Item>,
    /// Whether a part was not understood. Then nothing is reported as missing.
    pub(super) broken: bool,
}

/// `key` or `key = value`.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) key: Key,
    /// The key as written, for its span.
    pub(super) word: Ident,
    pub(super) value: Option<Expr>,
}

impl Attributes {
    pub(super) fn read(context: &mut Context, attributes: &[Attribute], level: Level) -> Self {
        let mut read = Attributes {
            items: Vec::new(),
            broken: false,
        };
        for attribute in attributes {
            if attribute.path().is_ident("sikkerkey") {
                read.attribute(context, attribute, level);
            }
        }
        read
    }

    pub(super) fn get(&self, key: Key) -> Option<&Item> {
        self.items.iter().find(|item| item.key == key)
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Item> {
        self.items.iter()
    }

    /// The first of these keys that is present.
    pub(super) fn first_of(&self, keys: &[Key]) -> Option<&Item> {
        self.items.iter().find(|item| keys.contains(&item.key))
    }

    fn attribute(&mut self, context: &mut Context, attribute: &Attribute, level: Level) {
        let Meta::List(list) = &attribute.meta else {
            self.broken = true;
            let example = match level {
                Level::Struct => "#[sikkerkey(secret = \"sk_…\")]",
                Level::Field => "#[sikkerkey(field = \"…\")]",
            };
            context.mistake(
                &attribute.meta,
                format!("the keys of this attribute go in parentheses, such as `{example}`"),
            );
            return;
        };
        let items = |input: ParseStream<'_>| {
            while !input.is_empty() {
                match raw_item(input) {
                    Ok((word, value)) => self.item(context, level, word, value),
                    Err(error) => {
                        self.broken = true;
                        context.push(error);
                        skip_to_comma(input);
                    }
                }
                if input.is_empty() {
                    break;
                }
                if let Err(error) = input.parse::<Token![,]>() {
                    self.broken = true;
                    // A key without a comma before it is read as if the comma were there.
                    let follows = input.peek(Ident::peek_any);
                    let mistake = match follows {
                        true => "a comma is missing before this key",
                        false => "only a comma can follow here: keys are separated by commas",
                    };
                    context.mistake_at(error.span(), mistake);
                    if !follows {
                        skip_to_comma(input);
                        let _ = input.parse::<Option<Token![,]>>();
                    }
                }
            }
            Ok(())
        };
        if let Err(error) = items.parse2(list.tokens.clone()) {
            self.broken = true;
            context.push(error);
        }
    }

    fn item(&mut self, context: &mut Context, level: Level, word: Ident, value: Option<Expr>) {
        let Some(key) = known(context, level, &word) else {
            self.broken = true;
            return;
        };
        if let Some(first) = self.get(key) {
            context.mistake_between(
                (word.span(), format!("`{key}` is given twice: remove one")),
                (first.word.span(), format!("`{key}` is given here first")),
            );
            return;
        }
        let value = match (key.takes(), value) {
            (Takes::Nothing, Some(value)) => {
                context.mistake(
                    value,
                    format!("`{key}` takes no value: write `{key}` alone"),
                );
                None
            }
            (Takes::Value, None) => {
                self.broken = true;
                context.mistake_at(
                    word.span(),
                    format!("`{key}` needs a value, such as `{}`", key.example()),
                );
                return;
            }
            (_, value) => value,
        };
        self.items.push(Item { key, word, value });
    }
}

fn known(context: &mut Context, level: Level, word: &Ident) -> Option<Key> {
    let name = word.unraw().to_string();
    let text = match Key::named(&name) {
        Some(key) if key.fits(level) => return Some(key),
        Some(key) => match level {
            Level::Struct => format!("`{key}` belongs on a field, not on the struct"),
            Level::Field => format!("`{key}` belongs on the struct, not on a field"),
        },
        None => match Key::nearest(&name, level) {
            Some(near) if near.example() == near.to_string() => {
                format!("unknown key `{name}`: did you mean `{near}`?")
            }
            Some(near) => format!(
                "unknown key `{name}`: did you mean `{near}`, as in `{}`?",
                near.example()
            ),
            None => format!(
                "unknown key `{name}`; the keys of a {level} are {}",
                Key::list(level)
            ),
        },
    };
    context.mistake_at(word.span(), text);
    None
}

fn raw_item(input: ParseStream<'_>) -> syn::Result<(Ident, Option<Expr>)> {
    if !input.peek(Ident::peek_any) {
        return Err(match input.fork().parse::<LitStr>() {
            Ok(text) => input.error(format!(
                "a key is missing before this text, such as `{}`",
                keyed(&text)
            )),
            Err(_) => input.error("a key is expected here, such as `secret = \"sk_…\"`"),
        });
    }
    let word = Ident::parse_any(input)?;
    if input.peek(syn::token::Paren) {
        let value = match input.fork().parse::<TokenTree>() {
            Ok(TokenTree::Group(group)) => syn::parse2::<Lit>(group.stream()).ok(),
            _ => None,
        };
        let value = value.map_or("…".to_owned(), |value| {
            value.to_token_stream().to_string()
        });
        return Err(syn::Error::new(
            word.span(),
            format!("write `{word} = {value}`, without parentheses"),
        ));
    }
    if input.peek(Token![::]) {
        return Err(syn::Error::new(
            word.span(),
            "a key is one word, such as `secret = \"sk_…\"`",
        ));
    }
    if input.peek(Token![-]) && input.peek2(Ident::peek_any) {
        input.parse::<Token![-]>()?;
        let rest = Ident::parse_any(input)?;
        return Err(syn::Error::new(
            word.span(),
            format!("the words of a key are joined by `_`: write `{word}_{rest}`"),
        ));
    }
    if input.peek(Token![:]) || input.peek(syn::Lit) {
        return Err(input.error(format!(
            "write `{word} = …`: an equals sign goes before a value"
        )));
    }
    if input.peek(Token![==]) || input.peek(Token![=>]) {
        return Err(input.error(format!("write `{word} = …`, with one equals sign")));
    }
    if !input.peek(Token![=]) {
        return Ok((word, None));
    }
    let equals = input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(syn::Error::new(
            equals.span,
            format!("a value is missing after `{word} =`"),
        ));
    }
    Ok((word, Some(input.parse()?)))
}

/// The suggestion for a text without its key: an id or a display name.
fn keyed(text: &LitStr) -> String {
    let key = match value::is_id(&text.value()) {
        true => "secret",
        false => "name",
    };
    format!("{key} = {:?}", text.value())
}

/// Skips to the next comma, so that the keys after a mistake are read, too.
fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}
