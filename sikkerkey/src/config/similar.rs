//! Finds known names that a misspelt one may have meant.

/// Returns the names of `known` that are similar to `name`, the most similar first, at most three.
///
/// Similar names differ in at most one letter of five, and in at most three; letters may be swapped. A name
/// of one letter has no similar names: otherwise every short name would be one.
pub(crate) fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = folded(name);
    if wanted.len() < 2 {
        return Vec::new();
    }
    let limit = (wanted.len() / 5).clamp(1, 3);
    let distance = |candidate| strsim::generic_damerau_levenshtein(&wanted, &folded(candidate));
    let mut near: Vec<_> = known
        .into_iter()
        .filter(|candidate| candidate.len() <= 4 * LONGEST && folded(candidate).len() > 1)
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().map(|(_, name)| name).take(3).collect()
}

/// Longer names are not compared in full: the work grows with the product of the lengths.
const LONGEST: usize = 200;

/// Letters and digits only, in lower case: `DB-Host` and `db_host` are the same.
fn folded(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_spellings_and_strangers() {
        let known = ["host", "port", "user_name", "password", "x"];
        for (name, expected) in [
            ("Port", vec!["port"]),
            ("prot", vec!["port"]),
            ("hosts", vec!["host"]),
            ("userName", vec!["user_name"]),
            ("pasword", vec!["password"]),
            ("api_key", vec![]),
            ("p", vec![]),
            ("xy", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(near(name, known), expected, "{name}");
        }
    }
}
