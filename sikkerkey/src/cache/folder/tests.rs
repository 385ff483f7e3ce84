use super::*;

fn id(id: &str) -> SecretId {
    SecretId::new(id).unwrap()
}

fn fresh() -> (tempfile::TempDir, Folder) {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::new(home.path().join("vaults/vault_x/cache"));
    (home, folder)
}

fn names(folder: &Folder) -> Vec<String> {
    fs::read_dir(&folder.path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn an_entry_is_written_read_counted_and_removed() {
    let (_home, folder) = fresh();
    assert_eq!(folder.read(&id("sk_a")).unwrap(), None);
    assert_eq!(folder.count().unwrap(), 0);
    folder.remove(&id("sk_a")).unwrap();

    folder.write(&id("sk_a"), b"one").unwrap();
    folder.write(&id("sk_a"), b"two").unwrap();
    folder.write(&id("sk_b"), b"other").unwrap();
    assert_eq!(folder.read(&id("sk_a")).unwrap().unwrap(), b"two");
    assert_eq!(folder.count().unwrap(), 2);

    folder.remove(&id("sk_a")).unwrap();
    assert_eq!(folder.read(&id("sk_a")).unwrap(), None);
    folder.clear().unwrap();
    assert!(!folder.path.exists());
    folder.clear().unwrap();
}

#[test]
fn clearing_keeps_files_that_are_not_the_caches() {
    let (_home, folder) = fresh();
    folder.write(&id("sk_a"), b"one").unwrap();
    fs::write(folder.path.join("notes.txt"), "mine").unwrap();
    folder.clear().unwrap();
    assert_eq!(names(&folder), ["notes.txt"]);
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let (_home, folder) = fresh();
    folder.write(&id("sk_a"), b"one").unwrap();
    fs::create_dir(folder.path.join("sk_b.skc")).unwrap();
    folder.write(&id("sk_b"), b"two").unwrap_err();
    let mut names = names(&folder);
    names.sort();
    assert_eq!(names, ["sk_a.skc", "sk_b.skc"]);
}

#[test]
fn only_old_left_overs_are_swept() {
    let (_home, folder) = fresh();
    folder.write(&id("sk_a"), b"one").unwrap();
    fs::write(folder.path.join(".skc-77-abc"), "half").unwrap();
    let now = SystemTime::now() + Duration::from_secs(3600);
    for name in names(&folder) {
        let file = File::options().write(true).open(folder.path.join(name));
        file.unwrap().set_modified(now - LEFT_OVER).unwrap();
    }
    folder.sweep(now);
    assert_eq!(names(&folder).len(), 2);
    folder.sweep(now + Duration::from_secs(1));
    assert_eq!(names(&folder), ["sk_a.skc"]);
}

#[test]
fn a_failed_removal_is_an_error_and_a_missing_file_is_not() {
    let (_home, folder) = fresh();
    folder.write(&id("sk_a"), b"one").unwrap();
    folder.remove(&id("sk_gone")).unwrap();
    fs::create_dir(folder.file(&id("sk_folder"))).unwrap();
    folder.remove(&id("sk_folder")).unwrap_err();
    folder.clear().unwrap_err();
}

#[test]
fn a_folder_that_cannot_be_looked_at_is_an_error_and_no_empty_one() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    let folder = Folder::new(home.path().join("file/cache"));
    folder.read(&id("sk_a")).unwrap_err();
    folder.count().unwrap_err();
    folder.clear().unwrap_err();
}

#[test]
fn a_file_that_is_too_large_is_refused_unread() {
    let (_home, folder) = fresh();
    folder.write(&id("sk_a"), b"one").unwrap();
    let file = OpenOptions::new()
        .write(true)
        .open(folder.file(&id("sk_a")))
        .unwrap();
    file.set_len(FILE_LIMIT).unwrap();
    let whole = folder.read(&id("sk_a")).unwrap().unwrap();
    assert_eq!(whole.len() as u64, FILE_LIMIT);
    file.set_len(FILE_LIMIT + 1).unwrap();
    folder.read(&id("sk_a")).unwrap_err();
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folder_and_files_are_for_their_owner_alone() {
        let (_home, folder) = fresh();
        folder.write(&id("sk_a"), b"one").unwrap();
        assert_eq!(mode(&folder.path), 0o700);
        assert_eq!(mode(&folder.file(&id("sk_a"))), 0o600);

        fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o755)).unwrap();
        folder.write(&id("sk_a"), b"two").unwrap();
        assert_eq!(mode(&folder.path), 0o700);

        // A stricter mode is left as the owner set it.
        fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o500)).unwrap();
        folder.prepare().unwrap();
        assert_eq!(mode(&folder.path), 0o500);
        fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn a_folder_that_others_can_enter_keeps_its_mode_and_gets_one_below() {
        let home = tempfile::tempdir().unwrap();
        for mode in [0o1777, 0o755, 0o750] {
            let shared = home.path().join(format!("shared-{mode:o}"));
            fs::create_dir(&shared).unwrap();
            fs::set_permissions(&shared, fs::Permissions::from_mode(mode)).unwrap();
            let folder = Folder::within(shared.clone());
            folder.check().unwrap();
            folder.write(&id("sk_a"), b"one").unwrap();
            folder.check().unwrap();
            let found = fs::metadata(&shared).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, mode, "it is not the cache's");
            assert_eq!(folder.path, shared.join("sikkerkey-cache"));
            assert_eq!(self::mode(&folder.path), 0o700);
        }
        let own = Folder::within(home.path().join("own"));
        own.write(&id("sk_a"), b"one").unwrap();
        assert!(home.path().join("own/sk_a.skc").exists());
        let again = Folder::within(home.path().join("own"));
        assert_eq!(again.read(&id("sk_a")).unwrap().unwrap(), b"one");
    }

    #[test]
    fn a_cache_folder_that_others_can_write_to_is_refused() {
        let (_home, folder) = fresh();
        folder.write(&id("sk_a"), b"one").unwrap();
        fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o777)).unwrap();
        let error = folder.read(&id("sk_a")).unwrap_err().to_string();
        assert!(error.contains("another user owns or can write"), "{error}");
        folder.write(&id("sk_a"), b"two").unwrap_err();
        let error = folder.check().unwrap_err().to_string();
        assert!(error.contains("another user owns or can write"), "{error}");
    }

    #[allow(clippy::print_stderr, reason = "a skipped test says so")]
    #[test]
    fn a_folder_of_another_user_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("theirs");
        fs::create_dir(&path).unwrap();
        if std::os::unix::fs::chown(&path, Some(12345), None).is_err() {
            eprintln!("SKIPPED: only root gives a folder to another user");
            return;
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        Folder::new(path.clone()).check().unwrap_err();
        let below = path.join("sikkerkey-cache");
        assert_eq!(Folder::within(path).path, below);
    }

    #[test]
    fn a_new_file_is_private_before_it_has_a_byte() {
        let (_home, folder) = fresh();
        folder.prepare().unwrap();
        let path = folder.temporary().unwrap();
        let file = create_private(&path).unwrap();
        assert_eq!((mode(&path), file.metadata().unwrap().len()), (0o600, 0));
        create_private(&path).unwrap_err();
    }

    #[test]
    fn a_link_in_place_of_a_file_is_replaced_and_never_followed() {
        let (home, folder) = fresh();
        folder.write(&id("sk_a"), b"one").unwrap();
        let target = home.path().join("target");
        fs::write(&target, "theirs").unwrap();
        fs::remove_file(folder.file(&id("sk_a"))).unwrap();
        symlink(&target, folder.file(&id("sk_a"))).unwrap();

        folder.read(&id("sk_a")).unwrap_err();
        folder.write(&id("sk_a"), b"two").unwrap();
        assert_eq!(folder.read(&id("sk_a")).unwrap().unwrap(), b"two");
        assert_eq!(fs::read(&target).unwrap(), b"theirs");

        symlink(&target, folder.file(&id("sk_b"))).unwrap();
        folder.remove(&id("sk_b")).unwrap();
        assert!(target.exists());
    }

    #[test]
    fn a_path_that_leads_in_a_circle_is_an_error_and_no_empty_cache() {
        let home = tempfile::tempdir().unwrap();
        let circle = home.path().join("circle");
        symlink(&circle, &circle).unwrap();
        let folder = Folder::new(circle.join("cache"));
        folder.read(&id("sk_a")).unwrap_err();
        folder.count().unwrap_err();
    }

    #[test]
    fn a_link_in_place_of_the_folder_is_refused() {
        let (home, folder) = fresh();
        let elsewhere = home.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::create_dir_all(folder.path.parent().unwrap()).unwrap();
        symlink(&elsewhere, &folder.path).unwrap();
        folder.write(&id("sk_a"), b"one").unwrap_err();
        let error = folder.read(&id("sk_a")).unwrap_err().to_string();
        assert!(error.contains("is not a folder"), "{error}");
        folder.clear().unwrap_err();
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_is_not_regular_is_refused_without_waiting() {
        let (_home, folder) = fresh();
        folder.write(&id("sk_a"), b"one").unwrap();
        let pipe = folder.file(&id("sk_pipe"));
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        folder.read(&id("sk_pipe")).unwrap_err();
    }
}
