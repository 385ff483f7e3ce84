//! Looks through the output of a test suite for secrets; `.ci/leaks` says which.

#![allow(
    clippy::print_stdout,
    reason = "what was searched is what it is run for"
)]

use std::collections::BTreeSet;
use std::error::Error;
use std::{env, fs};

use sikkerkey_tests::canary::Search;

/// Fewer would mean that the suite did not run, or that its log was silent: a search that cannot find.
const LEAST: usize = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [canaries, output] = &arguments[..] else {
        return Err("find-canaries CANARIES OUTPUT".into());
    };
    let secrets = fs::read_to_string(canaries)?;
    let secrets = secrets.lines().map(serde_json::from_str::<String>);
    let secrets: BTreeSet<_> = secrets.collect::<Result<_, _>>()?;
    let (search, long) = Search::new(secrets.iter().map(String::as_str));

    let output = fs::read(output)?;
    let mut logged = 0;
    let mut leaks = 0;
    for (n, line) in output.split(|byte| *byte == b'\n').enumerate() {
        logged += usize::from(line.windows(11).any(|part| part == b" sikkerkey]"));
        if let Some(secret) = search.find(line) {
            leaks += 1;
            // Not the line and not the secret: this is output too.
            println!(
                "line {} shows secret {secret} of those in their order",
                n + 1
            );
        }
    }
    println!(
        "{} secrets, {long} of them long enough to be told from other text; {} bytes of output, \
         {logged} lines logged by sikkerkey: {leaks} leaks",
        secrets.len(),
        output.len()
    );
    match leaks {
        _ if long < LEAST || logged < LEAST => {
            Err("too little was searched to say anything".into())
        }
        0 => Ok(()),
        _ => Err("a secret is in the output".into()),
    }
}
