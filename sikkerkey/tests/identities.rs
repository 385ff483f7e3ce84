//! Whose identity folders are trusted: a table of owners, modes, links and mounts, each judged as
//! root and as another user.
//!
//! It needs root, to give files to other users. Elsewhere it says that it was skipped; where
//! `SIKKERKEY_TEST_AS_ROOT` is set, as `.ci/identities` does, that is a failure.

#![cfg(unix)]
#![allow(
    clippy::print_stdout,
    reason = "the table is shown, and what was skipped"
)]

use std::env;
use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use sikkerkey::SikkerKey;

const INSIDE: &str = "SIKKERKEY_TEST_INSIDE";
const AS_ROOT: &str = "SIKKERKEY_TEST_AS_ROOT";

/// The user as which the client runs if not as root, and the one who owns what is not theirs.
const USER: u32 = 61_001;
const OTHER: u32 = 61_002;

/// RFC 8410's example key.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                   -----END PRIVATE KEY-----\n";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Owner {
    /// The user as which the client runs.
    Own,
    Root,
    Other,
}

use Owner::{Other, Own, Root};

/// What is done to a whole identity whose files and folders are the user's own, 0600 and 0700.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    /// The place gets this owner and this mode.
    Set(&'static str, Owner, u32),
    /// Everything gets this owner; folders this mode.
    All(Owner, u32),
    /// The place becomes a link of this owner to where it was moved.
    Link(&'static str, Owner),
    /// The same, to a folder with this mode.
    LinkInto(&'static str, u32),
    /// As Kubernetes mounts a secret: links of root's in a folder with this mode.
    Kubernetes(u32),
    /// The vault's folder is root's, writable for all, on a read-only file system.
    ReadOnly(u32),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Nothing => f.write_str("an identity of this user's own"),
            Set(place, owner, mode) => write!(f, "base/{place}: {owner:?} {mode:04o}"),
            All(owner, mode) => write!(f, "all: {owner:?} {mode:04o}"),
            Link(place, owner) => write!(f, "base/{place}: a link of {owner:?}"),
            LinkInto(place, mode) => write!(f, "base/{place}: a link into a folder {mode:04o}"),
            Kubernetes(mode) => write!(f, "mounted by Kubernetes, root {mode:04o}"),
            ReadOnly(mode) => write!(f, "mounted read-only, root {mode:04o}"),
        }
    }
}

use Change::{All, Kubernetes, Link, LinkInto, Nothing, ReadOnly, Set};

const BASE: &str = "";
const VAULTS: &str = "vaults";
const VAULT: &str = "vaults/vault_abc123";
const IDENTITY: &str = "vaults/vault_abc123/identity.json";
const KEY: &str = "vaults/vault_abc123/private.pem";
/// Above the base folder.
const ABOVE: &str = "..";

/// What follows: it is used, or refused with these words.
type Verdict = Result<(), &'static str>;

const OK: Verdict = Ok(());
const OWNER: Verdict = Err("belongs to user 61002");
const WRITABLE: Verdict = Err("can be changed by other users");

#[rustfmt::skip]
const TABLE: &[(Change, bool, Verdict, Verdict)] = &[
    // change                        trust_owner   as root   as another user
    (Nothing,                              false, OK,       OK),
    (Set(IDENTITY, Other, 0o600),          false, OWNER,    Err("")),
    (Set(IDENTITY, Other, 0o644),          false, OWNER,    OWNER),
    (Set(IDENTITY, Other, 0o644),          true,  OK,       OK),
    (Set(IDENTITY, Other, 0o666),          true,  WRITABLE, WRITABLE),
    (Set(IDENTITY, Root,  0o644),          false, OK,       OK),
    (Set(IDENTITY, Own,   0o620),          false, WRITABLE, WRITABLE),
    (Set(KEY,      Other, 0o644),          false, OWNER,    OWNER),
    (Set(KEY,      Other, 0o644),          true,  OK,       OK),
    (Set(KEY,      Root,  0o644),          false, OK,       OK),
    (Set(KEY,      Own,   0o602),          false, WRITABLE, WRITABLE),
    (Set(VAULT,    Other, 0o755),          false, OWNER,    OWNER),
    (Set(VAULT,    Other, 0o755),          true,  OK,       OK),
    (Set(VAULT,    Other, 0o1777),         true,  WRITABLE, WRITABLE),
    // Rights are no reason to enroll again.
    (Set(VAULT,    Other, 0o700),          false, OWNER,    Err("may not look")),
    (Set(VAULTS,   Other, 0o700),          false, OWNER,    Err("may not look")),
    (Set(VAULT,    Root,  0o755),          false, OK,       OK),
    (Set(VAULT,    Own,   0o777),          false, WRITABLE, WRITABLE),
    (Set(VAULT,    Own,   0o770),          false, WRITABLE, WRITABLE),
    (Set(VAULT,    Own,   0o1777),         false, OK,       OK),
    (Set(VAULT,    Root,  0o1777),         false, OK,       OK),
    (Set(VAULTS,   Own,   0o777),          false, WRITABLE, WRITABLE),
    (Set(VAULTS,   Other, 0o755),          false, OWNER,    OWNER),
    (Set(VAULTS,   Root,  0o1777),         false, OK,       OK),
    (Set(BASE,     Own,   0o777),          false, WRITABLE, WRITABLE),
    (Set(BASE,     Other, 0o755),          false, OWNER,    OWNER),
    (Set(BASE,     Other, 0o755),          true,  OK,       OK),
    // What is above the base is the system's matter.
    (Set(ABOVE,    Own,   0o777),          false, OK,       OK),
    (All(Root,     0o755),                 false, OK,       OK),
    (All(Other,    0o755),                 false, OWNER,    OWNER),
    (All(Other,    0o755),                 true,  OK,       OK),
    (Link(IDENTITY, Own),                  false, OK,       OK),
    (Link(IDENTITY, Root),                 false, OK,       OK),
    (Link(IDENTITY, Other),                false, OWNER,    OWNER),
    (Link(KEY,      Other),                false, OWNER,    OWNER),
    (Link(VAULT,    Other),                false, OWNER,    OWNER),
    (Link(VAULTS,   Other),                false, OWNER,    OWNER),
    (Link(VAULTS,   Root),                 false, OK,       OK),
    (LinkInto(IDENTITY, 0o777),            false, WRITABLE, WRITABLE),
    (LinkInto(KEY,      0o777),            false, WRITABLE, WRITABLE),
    (LinkInto(KEY,      0o755),            false, OK,       OK),
    (Kubernetes(0o1777),                   false, OK,       OK),
    (Kubernetes(0o777),                    false, WRITABLE, WRITABLE),
    (ReadOnly(0o777),                      false, OK,       OK),
];

#[test]
fn inside_verdict() {
    if env::var_os(INSIDE).is_none() {
        return;
    }
    let mut builder = SikkerKey::builder().vault("vault_abc123");
    if env::var(INSIDE).unwrap() == "trust" {
        builder = builder.trust_owner(OTHER);
    }
    match builder.build() {
        Ok(_) => println!("VERDICT: used"),
        Err(error) => println!("VERDICT: {error}"),
    }
}

#[test]
fn the_table_of_identity_folders() {
    let tools = Command::new("setpriv").arg("--version").output().is_ok();
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !is_root || !tools {
        assert!(
            env::var_os(AS_ROOT).is_none(),
            "root and setpriv are needed"
        );
        println!("SKIPPED: the table of identity folders needs root and setpriv");
        return;
    }
    // Where every user can reach it.
    let scratch = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    let program = scratch.path().join("identities");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();

    let mut wrong = Vec::new();
    for (number, (change, trust, as_root, as_user)) in TABLE.iter().enumerate() {
        for (user, expected) in [(0, as_root), (USER, as_user)] {
            let above = scratch.path().join(format!("{number}-{user}"));
            let identity = Folder::make(&above, user);
            let Some(_mounted) = identity.change(*change) else {
                println!("SKIPPED: {change}: this machine lets nobody mount");
                continue;
            };
            let found = verdict(&program, &identity.base, user, *trust);
            let trusting = if *trust { ", trust_owner" } else { "" };
            let short = found.split(": ").next().unwrap_or_default();
            let short = short.replace(above.to_str().unwrap(), "");
            println!("as {user:<5} {change}{trusting}: {short}");
            let right = match expected {
                Ok(()) => found == "used",
                Err(says) => found != "used" && found.contains(says),
            };
            if !right {
                wrong.push(format!("{change} as {user}: {found}, not {expected:?}"));
            }
            // Nobody is told to enroll again because of rights.
            assert!(!found.contains("enroll"), "{change} as {user}: {found}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a client says that runs as this user.
fn verdict(program: &Path, base: &Path, user: u32, trust: bool) -> String {
    let user = user.to_string();
    let output = Command::new("setpriv")
        .args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"])
        .arg(program)
        .args(["--exact", "inside_verdict", "--nocapture"])
        .env(INSIDE, if trust { "trust" } else { "no" })
        .env("SIKKERKEY_HOME", base)
        .current_dir("/")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, verdict) = text.split_once("VERDICT: ").unwrap_or_else(|| {
        panic!(
            "no verdict: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    verdict.lines().next().unwrap_or_default().to_owned()
}

/// An identity on disk.
struct Folder {
    base: PathBuf,
    user: u32,
}

/// A mount that ends with this.
struct Mounted(Option<PathBuf>);

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(place) = &self.0 {
            let _ = Command::new("umount").arg(place).status();
        }
    }
}

impl Folder {
    fn make(above: &Path, user: u32) -> Self {
        let folder = Folder {
            base: above.join("base"),
            user,
        };
        fs::create_dir_all(folder.place(VAULT)).unwrap();
        fs::set_permissions(above, Permissions::from_mode(0o755)).unwrap();
        let json = r#"{"machineId":"m-1","machineName":"web-1","vaultId":"vault_abc123",
            "apiUrl":"https://api.sikkerkey.com","privateKeyPath":"private.pem"}"#;
        fs::write(folder.place(IDENTITY), json).unwrap();
        fs::write(folder.place(KEY), PEM).unwrap();
        for place in [BASE, VAULTS, VAULT] {
            folder.set(&folder.place(place), Own, 0o700);
        }
        for place in [IDENTITY, KEY] {
            folder.set(&folder.place(place), Own, 0o600);
        }
        folder
    }

    fn place(&self, place: &str) -> PathBuf {
        match place {
            ABOVE => self.base.parent().unwrap().to_owned(),
            place => self.base.join(place),
        }
    }

    fn id(&self, owner: Owner) -> u32 {
        match owner {
            Own => self.user,
            Root => 0,
            Other => OTHER,
        }
    }

    fn set(&self, path: &Path, owner: Owner, mode: u32) {
        let id = self.id(owner);
        lchown(path, Some(id), Some(id)).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// `None` where this machine cannot do it.
    fn change(&self, change: Change) -> Option<Mounted> {
        match change {
            Nothing => {}
            Set(place, owner, mode) => self.set(&self.place(place), owner, mode),
            All(owner, mode) => {
                for place in [BASE, VAULTS, VAULT] {
                    self.set(&self.place(place), owner, mode);
                }
                for place in [IDENTITY, KEY] {
                    self.set(&self.place(place), owner, mode & 0o666);
                }
            }
            Link(place, owner) => self.link(place, owner, 0o755),
            LinkInto(place, mode) => self.link(place, Own, mode),
            Kubernetes(mode) => self.kubernetes(mode),
            ReadOnly(mode) => {
                self.set(&self.place(VAULT), Root, mode);
                return mount_read_only(&self.place(VAULT));
            }
        }
        Some(Mounted(None))
    }

    fn link(&self, place: &str, owner: Owner, mode: u32) {
        let place = self.place(place);
        let elsewhere = self.place(ABOVE).join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        self.set(&elsewhere, Own, mode);
        let target = elsewhere.join(place.file_name().unwrap());
        fs::rename(&place, &target).unwrap();
        symlink(&target, &place).unwrap();
        let id = self.id(owner);
        lchown(&place, Some(id), Some(id)).unwrap();
    }

    fn kubernetes(&self, mode: u32) {
        let mount = self.place(VAULT);
        let version = mount.join("..2026_11_26");
        fs::create_dir(&version).unwrap();
        self.set(&version, Root, 0o755);
        for name in ["identity.json", "private.pem"] {
            fs::rename(mount.join(name), version.join(name)).unwrap();
            self.set(&version.join(name), Root, 0o644);
            symlink(format!("..data/{name}"), mount.join(name)).unwrap();
        }
        symlink("..2026_11_26", mount.join("..data")).unwrap();
        self.set(&mount, Root, mode);
    }
}

fn mount_read_only(folder: &Path) -> Option<Mounted> {
    let mount = |arguments: &[&str]| {
        let output = Command::new("mount").args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    let place = folder.to_str().unwrap();
    if !mount(&["--bind", place, place]) {
        return None;
    }
    let mounted = Mounted(Some(folder.to_owned()));
    mount(&["-o", "remount,bind,ro", place]).then_some(mounted)
}
