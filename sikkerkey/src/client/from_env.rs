//! A client from the environment: the first identity that is found.

use std::env;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::SikkerKey;
use super::machine::Machine;
use crate::error::Error;
use crate::id::normal_vault_id;
use crate::identity::{self, Environment, variable};

const VAULT_ID: &str = "SIKKERKEY_VAULT_ID";
const MACHINE_ID: &str = "SIKKERKEY_MACHINE_ID";
const PRIVATE_KEY: &str = "SIKKERKEY_PRIVATE_KEY";
const TOKEN: &str = "SIKKERKEY_ENROLLMENT_TOKEN";

/// The variables that decide which identity is used.
#[derive(Default)]
struct Variables {
    identity: Option<PathBuf>,
    vault_id: Option<String>,
    machine_id: Option<String>,
    private_key: Option<SecretString>,
    token: Option<SecretString>,
    /// `identity.json` in the folder of systemd's credentials, if that file exists.
    credential: Option<PathBuf>,
}

/// The identity that the variables lead to.
enum Start {
    File(PathBuf),
    Machine(Machine, SecretString),
    Vault(String),
    Enrollment(String, SecretString),
    /// The only vault on disk, or an error that says where an identity was looked for.
    Auto,
}

pub(super) fn client() -> Result<SikkerKey, Error> {
    let environment = Environment::of_process()?;
    let mut variables = Variables::of_process(&environment)?;
    let enrolls = variables.vault_id.is_some() && variables.token.is_some();
    let vaults = || match environment.base() {
        // A place without a home has no vault on disk.
        Err(_) if enrolls => Ok(Vec::new()),
        _ => identity::list_vaults(&environment),
    };
    match variables.start(vaults)? {
        Start::File(path) => SikkerKey::builder().identity_file(path).build(),
        Start::Machine(machine, key) => SikkerKey::builder()
            .machine(machine)
            .private_key_pem(key)
            .build(),
        Start::Vault(vault) => SikkerKey::new(vault),
        Start::Auto => SikkerKey::auto(),
        Start::Enrollment(vault, token) => {
            SikkerKey::bootstrap_in_memory(&vault, token.expose_secret()).enroll()
        }
    }
}

impl Variables {
    fn of_process(environment: &Environment) -> Result<Self, Error> {
        let secret = |name| variable(name).map(|value| value.map(SecretString::from));
        // This variable is systemd's, not ours, so a value without an identity is not an error.
        let credential = env::var_os("CREDENTIALS_DIRECTORY")
            .map(|folder| Path::new(&folder).join("identity.json"))
            .filter(|path| path.is_absolute() && path.try_exists().unwrap_or(true));
        Ok(Variables {
            identity: environment.sikkerkey_identity.clone(),
            vault_id: variable(VAULT_ID)?,
            machine_id: variable(MACHINE_ID)?,
            private_key: secret(PRIVATE_KEY)?,
            token: secret(TOKEN)?,
            credential,
        })
    }

    /// Returns the first source that exists. `vaults` lists the vaults on disk.
    fn start(
        &mut self,
        vaults: impl FnOnce() -> Result<Vec<String>, Error>,
    ) -> Result<Start, Error> {
        if let Some(path) = self.identity.take() {
            return Ok(Start::File(path));
        }
        if self.machine_id.is_some() || self.private_key.is_some() {
            return self.machine();
        }
        if let Some(path) = self.credential.take() {
            return Ok(Start::File(path));
        }
        let vaults = vaults()?;
        let named = self.vault_id.as_deref().map(normal_vault_id).transpose()?;
        match (vaults.as_slice(), &named) {
            ([_], None) => return Ok(Start::Auto),
            (known, Some(vault)) if known.contains(vault) => {
                return Ok(Start::Vault(vault.clone()));
            }
            _ => {}
        }
        match (named, self.token.take()) {
            (Some(vault), Some(token)) => Ok(Start::Enrollment(vault, token)),
            (Some(vault), None) => Err(Error::configuration(format!(
                "{VAULT_ID} is set to {vault}, which has no identity on this machine, and {TOKEN} \
                 is not set: set it, or both {MACHINE_ID} and {PRIVATE_KEY}"
            ))),
            (None, Some(_)) => Err(Error::configuration(format!(
                "{TOKEN} is set, and {VAULT_ID} is not: set it to the vault of the token"
            ))),
            // The error says where it looked, or lists the vaults.
            (None, None) => Ok(Start::Auto),
        }
    }

    /// Makes the machine whose values are in variables.
    fn machine(&mut self) -> Result<Start, Error> {
        let missing: Vec<&str> = [
            (VAULT_ID, self.vault_id.is_none()),
            (MACHINE_ID, self.machine_id.is_none()),
            (PRIVATE_KEY, self.private_key.is_none()),
        ]
        .into_iter()
        .filter_map(|(name, missing)| missing.then_some(name))
        .collect();
        match (&self.vault_id, &self.machine_id, self.private_key.take()) {
            (Some(vault), Some(id), Some(key)) => {
                let machine = Machine::new(id.clone(), vault.clone());
                Ok(Start::Machine(machine, key))
            }
            _ => Err(Error::configuration(format!(
                "{VAULT_ID}, {MACHINE_ID} and {PRIVATE_KEY} describe one machine together; not set: {}",
                missing.join(", ")
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what these variables lead to, with these vaults on disk.
    fn start(variables: &[(&str, &str)], vaults: &[&str]) -> Result<String, String> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let mut variables = Variables {
            identity: get("SIKKERKEY_IDENTITY").map(PathBuf::from),
            vault_id: get(VAULT_ID),
            machine_id: get(MACHINE_ID),
            private_key: get(PRIVATE_KEY).map(SecretString::from),
            token: get(TOKEN).map(SecretString::from),
            credential: get("CREDENTIAL").map(PathBuf::from),
        };
        let vaults = vaults.iter().map(|vault| (*vault).to_owned()).collect();
        match variables.start(|| Ok(vaults)) {
            Ok(Start::File(path)) => Ok(format!("file {}", path.display())),
            Ok(Start::Machine(machine, _)) => Ok(format!("{machine:?}")),
            Ok(Start::Vault(vault)) => Ok(format!("disk {vault}")),
            Ok(Start::Enrollment(vault, _)) => Ok(format!("token {vault}")),
            Ok(Start::Auto) => Ok("auto".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_first_that_is_there_is_taken() {
        let all = [
            ("SIKKERKEY_IDENTITY", "/x/identity.json"),
            (VAULT_ID, "abc"),
            (MACHINE_ID, "m"),
            (PRIVATE_KEY, "pem"),
            ("CREDENTIAL", "/run/credentials/x/identity.json"),
            (TOKEN, "t"),
        ];
        assert_eq!(start(&all, &["vault_a"]).unwrap(), "file /x/identity.json");
        let machine = start(&all[1..], &["vault_a"]).unwrap();
        assert!(
            machine.starts_with(r#"Machine { id: "m", vault_id: "abc""#),
            "{machine}"
        );
        let credential = start(&all[4..], &["vault_a"]).unwrap();
        assert_eq!(credential, "file /run/credentials/x/identity.json");
        // Whatever its folder is called.
        assert_eq!(start(&[], &["vault_a"]).unwrap(), "auto");
        assert_eq!(start(&[], &["prod"]).unwrap(), "auto");
        let token = [(VAULT_ID, "abc"), (TOKEN, "t")];
        assert_eq!(start(&token, &[]).unwrap(), "token vault_abc");
        // The variable selects one of the vaults.
        assert_eq!(start(&token, &["vault_a"]).unwrap(), "token vault_abc");
        let known = ["vault_a", "vault_abc"];
        assert_eq!(start(&token, &known).unwrap(), "disk vault_abc");
    }

    #[test]
    fn half_a_set_names_the_missing_variable() {
        for (variables, says) in [
            (
                &[(VAULT_ID, "a"), (MACHINE_ID, "m")][..],
                "not set: SIKKERKEY_PRIVATE_KEY",
            ),
            (
                &[(VAULT_ID, "a"), (PRIVATE_KEY, "p")],
                "not set: SIKKERKEY_MACHINE_ID",
            ),
            (
                &[(MACHINE_ID, "m"), (PRIVATE_KEY, "p")],
                "not set: SIKKERKEY_VAULT_ID",
            ),
            (
                &[(PRIVATE_KEY, "p"), (TOKEN, "t")],
                "not set: SIKKERKEY_VAULT_ID, SIKKERKEY_MACHINE_ID",
            ),
            (&[(VAULT_ID, "a")], "SIKKERKEY_ENROLLMENT_TOKEN is not set"),
            (&[(TOKEN, "t")], "SIKKERKEY_VAULT_ID is not"),
            (&[(VAULT_ID, "../a"), (TOKEN, "t")], "is neither a vault id"),
        ] {
            let error = start(variables, &[]).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        // An incomplete machine is an error, even if the disk has an identity.
        start(&[(MACHINE_ID, "m")], &["vault_a"]).unwrap_err();
    }
}
