//! Calls in order, with what happens to the service between them.

use serde_json::Value;
use sikkerkey_emulator::EmulatorBuilder;
use sikkerkey_tests::emulator;

use crate::play::Side;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) vault: fn() -> EmulatorBuilder,
    /// Files and variables that the client finds when it starts.
    pub(crate) prepare: fn(&mut Side),
    pub(crate) steps: Vec<Step>,
}

pub(crate) enum Step {
    /// Something that happens to the service, or that the harness waits for.
    Do(Box<dyn Fn(&mut Side)>),
    Call {
        call: Value,
        /// Why this client answers otherwise on purpose, and what.
        differs: Option<(&'static str, Value)>,
        /// Whether how often it asks is not compared: polls come when they come.
        requests_differ: bool,
    },
}

impl Scenario {
    pub(crate) fn new(name: &'static str, vault: fn() -> EmulatorBuilder) -> Self {
        Scenario {
            name,
            vault,
            prepare: |_| (),
            steps: Vec::new(),
        }
    }

    /// A vault with a few secrets of each form.
    pub(crate) fn plain(name: &'static str) -> Self {
        Scenario::new(name, usual)
    }

    pub(crate) fn prepare(mut self, prepare: fn(&mut Side)) -> Self {
        self.prepare = prepare;
        self
    }

    pub(crate) fn call(mut self, call: Value) -> Self {
        self.steps.push(Step::Call {
            call,
            differs: None,
            requests_differ: false,
        });
        self
    }

    /// A call during which polls may happen.
    pub(crate) fn call_while_polling(mut self, call: Value) -> Self {
        self.steps.push(Step::Call {
            call,
            differs: None,
            requests_differ: true,
        });
        self
    }

    /// A call that this client answers otherwise, and why that is right.
    pub(crate) fn differs(mut self, call: Value, why: &'static str, ours: Value) -> Self {
        let differs = Some((why, ours));
        self.steps.push(Step::Call {
            call,
            differs,
            requests_differ: true,
        });
        self
    }

    /// Something that happens to the service, or that the harness waits for.
    pub(crate) fn then(mut self, act: impl Fn(&mut Side) + 'static) -> Self {
        self.steps.push(Step::Do(Box::new(act)));
        self
    }

    /// The steps that are compared.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(|step| matches!(step, Step::Call { .. }))
    }
}

/// Secrets of each form that the documentation has.
pub(crate) fn usual() -> EmulatorBuilder {
    emulator()
        .vault("vault_abc123")
        .machine_name("api-server-1")
        .secret("sk_stripe_key", "sk-live-1")
        .name("sk_stripe_key", "Stripe key")
        .structured(
            "sk_db_prod",
            [("host", "db.example.com"), ("password", "hunter2")],
        )
        .name("sk_db_prod", "DB creds")
        .project("sk_db_prod", "proj_production")
        .json("sk_limits", r#"{"port":5432,"ratio":1.5,"name":"grüß ✓"}"#)
        .project("sk_limits", "proj_production")
        .secret("sk_text", "several\nlines, \"quotes\", \\ and ünïcödé 🔑")
        .secret("sk_empty", "")
        .json("sk_array", "[1,2,3]")
        .secret("sk_1b13qr1sb2", "12345")
        .denied("sk_denied", "never seen")
}
