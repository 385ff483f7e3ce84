//! The README: its commands run, and what it shows is what the program prints.

mod support;

use support::program::{Folder, Running, program};

const README: &str = include_str!("../README.md");

/// The lines of the blocks of this language.
fn blocks(language: &str) -> Vec<Vec<&'static str>> {
    let mut blocks = Vec::new();
    let mut lines = README.lines();
    while let Some(line) = lines.next() {
        if line == format!("```{language}") {
            blocks.push(lines.by_ref().take_while(|line| *line != "```").collect());
        }
    }
    blocks
}

#[test]
fn the_commands_of_the_readme_run() {
    let [commands] = &blocks("sh")[..] else {
        panic!("one block of commands");
    };
    let [install, init, serve] = commands[..] else {
        panic!("{commands:?}");
    };
    // The package has the name that is installed, and its program the name that is run.
    assert_eq!(install, concat!("cargo install ", env!("CARGO_PKG_NAME")));
    let folder = tempfile::tempdir().unwrap();
    let command = |line: &str| {
        let arguments = line.strip_prefix("sikkerkey-emulator ").unwrap();
        let mut command = program();
        command
            .current_dir(folder.path())
            .args(arguments.split(' '));
        command
    };
    assert!(command(init).status().unwrap().success());
    let mut serve = command(serve);
    serve.env("TMPDIR", folder.path());
    let mut running = Running::start(serve);
    let printed = running.notes(3);
    let [shown, broken] = &blocks("text")[..] else {
        panic!("two blocks of output");
    };
    for (printed, shown) in printed.iter().zip(shown) {
        let words = |line: &str| -> Vec<String> {
            let words = line.split([' ', '=', ':', '/']).map(str::to_owned);
            words.take(6).collect()
        };
        if !shown.starts_with("export") {
            assert_eq!(words(printed), words(shown));
        } else if cfg!(unix) {
            assert!(
                printed.starts_with("export SIKKERKEY_IDENTITY='/"),
                "{printed}"
            );
        }
    }

    // The broken edit of the README.
    let folder = Folder::new("");
    let mut running = folder.run(&[], &[]);
    running.notes(3);
    folder.edit(&format!("{}sk_port = 5432\n", "\n".repeat(9)));
    let errors: Vec<_> = (0..4).map(|_| running.error()).collect();
    let (place, printed) = errors[0].split_once("secrets.toml").unwrap();
    assert!(place.starts_with("error: "));
    assert_eq!(Some(printed), broken[0].strip_prefix("error: secrets.toml"));
    assert_eq!(errors[1..], broken[1..]);
}
