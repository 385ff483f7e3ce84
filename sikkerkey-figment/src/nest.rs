//! Key paths to nested dicts.

use figment::value::{Dict, Tag, Value};

/// Inserts `value` at `path`. A later value replaces an earlier one, and a table replaces a value that is not a table.
pub(crate) fn insert(dict: &mut Dict, path: &[&str], value: Value) {
    let Some((key, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        dict.insert((*key).to_owned(), value);
        return;
    }
    let table = dict
        .entry((*key).to_owned())
        .or_insert_with(|| Value::from(Dict::new()));
    if !matches!(table, Value::Dict(..)) {
        *table = Value::Dict(Tag::Default, Dict::new());
    }
    if let Value::Dict(_, inner) = table {
        insert(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_share_their_table_and_the_later_value_holds() {
        let mut dict = Dict::new();
        for (path, value) in [("a.b", 1), ("a.c.d", 2), ("a.b", 3), ("x", 4), ("x.y", 5)] {
            let path: Vec<&str> = path.split('.').collect();
            insert(&mut dict, &path, Value::from(value));
        }
        let root = Value::from(dict);
        let at = |path| {
            root.find_ref(path).and_then(Value::to_i128).or(root
                .find_ref(path)
                .and_then(Value::to_u128)
                .map(|n| n as i128))
        };
        assert_eq!(
            (at("a.b"), at("a.c.d"), at("x.y")),
            (Some(3), Some(2), Some(5))
        );
    }
}
