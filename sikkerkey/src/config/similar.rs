//! The known name that was probably meant.

/// The names of `known` that are like `name`, the most alike first, at most three.
pub(crate) fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = folded(name);
    let limit = (wanted.len() / 5).clamp(1, 3);
    let mut near: Vec<_> = known
        .into_iter()
        .map(|candidate| (distance(&wanted, &folded(candidate), limit), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().map(|(_, name)| name).take(3).collect()
}

/// Letters and digits only, in lower case: `DB-Host` and `db_host` are the same.
fn folded(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// How many letters must be added, dropped, changed or swapped with their neighbour; anything
/// above `limit` where the lengths alone say that it is more.
fn distance(a: &[char], b: &[char], limit: usize) -> usize {
    if a.len().abs_diff(b.len()) > limit {
        return limit + 1;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_spellings_and_strangers() {
        let known = ["host", "port", "user_name", "password"];
        for (name, expected) in [
            ("Port", vec!["port"]),
            ("prot", vec!["port"]),
            ("hosts", vec!["host"]),
            ("userName", vec!["user_name"]),
            ("pasword", vec!["password"]),
            ("api_key", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(near(name, known), expected, "{name}");
        }
    }
}
