//! Calls that no official library makes, against the service's protocol: what goes over the wire, what each answer becomes, and how a
//! secret with a policy answers. The answers of the first two tables are literal; the service has accepted the request's signature
//! before one of them takes the place of its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sikkerkey::__private::Clock;
use sikkerkey::webhook::{Webhook, WebhookError};
use sikkerkey::{
    Error, ErrorKind, Export, ExposeSecret as _, Project, RetryPolicy, SecretDetails, SikkerKey,
};
use sikkerkey_emulator::{
    CertificateProfile, Emulator, EmulatorBuilder, Fault, Lease, Policy, Recorded, Reply,
};

fn client(vault: &Emulator) -> SikkerKey {
    SikkerKey::builder()
        .identity_file(vault.identity_path())
        .retry(RetryPolicy::default().base_delay(Duration::from_millis(1)))
        .build()
        .unwrap()
}

fn start(setting: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> (Emulator, SikkerKey) {
    let vault = setting(Emulator::builder()).start().unwrap();
    let sk = client(&vault);
    (vault, sk)
}

/// The requests since the last look, as `METHOD path body`. The service has accepted the signature of each.
fn requests(vault: &Emulator) -> Vec<String> {
    let requests = vault.requests();
    vault.clear_requests();
    let line = |r: &Recorded| {
        assert!(r.handled && r.status != 401, "{r:?}: {:?}", r.error);
        format!("{} {} {}", r.method, r.path, r.text())
            .trim_end()
            .to_owned()
    };
    requests.iter().map(line).collect()
}

/// A call whose requests get these answers, one after the other.
fn answered<T>(
    vault: &Emulator,
    answers: &[(u16, &str)],
    call: impl FnOnce() -> Result<T, Error>,
) -> (Result<T, Error>, Vec<String>) {
    for (status, body) in answers {
        let reply = Reply::new(*status).header("Content-Type", "application/json");
        vault.fail_next(Fault::after(reply.body(*body)));
    }
    let result = call();
    assert_eq!(vault.queued_faults(), 0, "an answer was not asked for");
    (result, requests(vault))
}

/// One secret of a list in a line: what is missing is `-`.
fn told(secret: &SecretDetails) -> String {
    let fields = secret.field_names.as_ref().map(|names| names.join("+"));
    let parts = [
        Some(secret.id.clone()),
        Some(secret.name.clone()),
        fields,
        secret.project_id.clone(),
        secret.project_name.clone(),
        secret.application_id.clone(),
        secret.application_name.clone(),
        Some(secret.kind.to_string()),
    ];
    let parts = parts.map(|part| part.unwrap_or_else(|| "-".to_owned()));
    parts.join(" ")
}

fn names(export: &Export) -> String {
    export.names().collect::<Vec<_>>().join(" ")
}

fn project(project: &Project) -> String {
    let application = [&project.application_id, &project.application_name];
    let [id, name] = application.map(|part| part.as_deref().unwrap_or("-"));
    format!("{} {} {id} {name}", project.id, project.name)
}

const RICH: &str = "GET /v1/cli/secrets";
const PLAIN: &str = "GET /v1/secrets";

#[test]
fn the_rich_list_by_the_table() {
    let (vault, sk) = start(|b| b);
    let ask = |answers: &[(u16, &str)]| answered(&vault, answers, || sk.list_secrets_detailed());

    let whole = |kind: &str| {
        json!({ "secrets": [{
            "id": "sk_1b13qr1sb2", "name": "Billing", "fieldNames": "user,pass", "projectId": "proj_1",
            "projectName": "Shop", "applicationId": "app_1", "applicationName": "Web", "type": kind,
        }]})
    };
    for (kind, expected) in [
        ("secret", "secret"),
        ("structured", "structured"),
        ("managed", "managed"),
        ("leased-secret", "leased-secret"),
        ("certificate", "certificate"),
        ("canary", "canary"),
        ("", "unknown"),
        ("of-a-later-service", "unknown"),
    ] {
        let (secrets, sent) = ask(&[(200, &whole(kind).to_string())]);
        let secrets: Vec<_> = secrets.unwrap().iter().map(told).collect();
        let line = format!("sk_1b13qr1sb2 Billing user+pass proj_1 Shop app_1 Web {expected}");
        assert_eq!(secrets, [line]);
        assert_eq!(sent, [RICH]);
    }

    // Optional keys: absent, and null.
    for (item, expected) in [
        (
            r#"{"id":"sk_1","name":"One","projectId":"proj_1","projectName":"Shop"}"#,
            "sk_1 One - proj_1 Shop - - unknown",
        ),
        (
            r#"{"id":"sk_1","name":"One","fieldNames":null,"projectId":"proj_1","projectName":"Shop","applicationId":null,"applicationName":null,"type":null}"#,
            "sk_1 One - proj_1 Shop - - unknown",
        ),
        (
            r#"{"id":"sk_1","name":"One","projectId":"proj_1","projectName":"Shop","type":"secret","createdBy":{"new":[1]}}"#,
            "sk_1 One - proj_1 Shop - - secret",
        ),
    ] {
        let (secrets, _) = ask(&[(200, &format!("{{\"secrets\":[{item}]}}"))]);
        let secrets: Vec<_> = secrets.unwrap().iter().map(told).collect();
        assert_eq!(secrets, [expected]);
    }

    // An older service does not offer it: the plain list takes its place.
    let plain =
        r#"{"secrets":[{"id":"sk_1","name":"One","fieldNames":"a,b","projectId":"proj_1"}]}"#;
    for refusal in [
        (404, r#"{"error":"Not found"}"#),
        (404, "<html>nginx</html>"),
        (404, ""),
    ] {
        let (secrets, sent) = ask(&[refusal, (200, plain)]);
        let secrets: Vec<_> = secrets.unwrap().iter().map(told).collect();
        assert_eq!(secrets, ["sk_1 One a+b proj_1 - - - unknown"]);
        assert_eq!(sent, [RICH, PLAIN]);
    }
    for (status, kind) in [
        (403, ErrorKind::AccessDenied),
        (409, ErrorKind::Conflict),
        (500, ErrorKind::Api),
        (200, ErrorKind::Decode),
    ] {
        let (refused, sent) = ask(&[(status, r#"{"error":"as it is"}"#)]);
        assert_eq!(refused.unwrap_err().kind(), kind, "{status}");
        assert_eq!(sent, [RICH]);
    }
}

#[test]
fn projects_and_application_exports_by_the_table() {
    let (vault, sk) = start(|b| b);
    let projects = r#"{"projects":[{"projectId":"proj_1","projectName":"Shop","applicationId":"app_1","applicationName":"Web"},{"projectId":"proj_2","projectName":"Mail"}]}"#;
    let (listed, sent) = answered(&vault, &[(200, projects)], || sk.list_projects());
    let listed: Vec<_> = listed.unwrap().iter().map(project).collect();
    assert_eq!(listed, ["proj_1 Shop app_1 Web", "proj_2 Mail - -"]);
    assert_eq!(sent, ["GET /v1/cli/projects"]);
    let (refused, sent) = answered(&vault, &[(404, "")], || sk.list_projects());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(sent, ["GET /v1/cli/projects"]);

    let export = json!({ "secrets": [
        { "id": "sk_1", "name": "api key", "value": "export-value-one" },
        { "id": "sk_2", "name": "db", "value": "{\"user\":\"export-value-two\",\"pass\":\"export-value-three\"}", "fieldNames": "user,pass" },
        { "id": "sk_3", "name": "Ünïcode--name", "value": "{}", "fieldNames": "user" },
    ]})
    .to_string();
    type Call = fn(&SikkerKey) -> Result<Export, Error>;
    for (call, sent) in [
        (
            (|sk| sk.export()) as Call,
            "POST /v1/secrets/export".to_owned(),
        ),
        (
            |sk| sk.export_project("proj_1"),
            r#"POST /v1/secrets/export {"projectId":"proj_1"}"#.to_owned(),
        ),
        (
            |sk| sk.export_application("app_1"),
            r#"POST /v1/secrets/export {"applicationId":"app_1"}"#.to_owned(),
        ),
    ] {
        let (exported, requests) = answered(&vault, &[(200, &export)], || call(&sk));
        assert_eq!(requests, [sent]);
        assert_eq!(
            names(&exported.unwrap()),
            "API_KEY DB_USER DB_PASS N_CODE_NAME"
        );
    }
}

/// A P-256 key's SubjectPublicKeyInfo in DER, up to the point.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

#[test]
fn a_certificate_is_asked_for_by_the_table() {
    for (validity, expected) in [
        (None, None),
        (Some(Duration::from_secs(3600)), Some("3600")),
        (Some(Duration::from_secs(86_400)), Some("86400")),
    ] {
        for chain in [true, false] {
            let profile = CertificateProfile::new("api").chain(chain);
            let (vault, sk) = start(|b| b.certificate("sk_cert", profile));
            let mut request = sk.certificate("sk_cert");
            if let Some(validity) = validity {
                request = request.validity(validity);
            }
            let certificate = request.live().unwrap();
            let length = certificate.get().certified_key().cert.len();
            assert_eq!(length, if chain { 2 } else { 1 });

            let sent = vault.requests().remove(0);
            assert_eq!((&*sent.method, &*sent.path), ("GET", "/v1/secret/sk_cert"));
            assert!(sent.body.is_empty());
            assert_eq!(sent.header("X-SikkerKey-Validity"), expected);
            let spki = sent.header("X-SikkerKey-Subject-Key-X509").unwrap();
            let spki = STANDARD.decode(spki).unwrap();
            assert_eq!(spki.len(), 91);
            assert_eq!(spki[..26], P256);
            // An SSH authority would sign this key, whose private half nobody has.
            let ssh = sent.header("X-SikkerKey-Subject-Key").unwrap();
            let blob = STANDARD.decode(ssh.strip_prefix("ssh-ed25519 ").unwrap());
            let blob = blob.unwrap();
            assert_eq!(blob[..19], *b"\0\0\0\x0bssh-ed25519\0\0\0\x20");
            assert_eq!(blob.len(), 19 + 32);
            // A service that put the headers into the signed text would have refused it.
            assert_eq!((sent.handled, sent.error), (true, None));
        }
    }

    let pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let whole = |kind: &str| {
        json!({
            "certificate": pem, "certificateType": kind, "fields": { "commonName": "api", "chain": "" },
            "validAfter": 1_790_000_000, "validBefore": 1_790_003_600,
        })
    };
    let without = |key: &str| {
        let mut answer = whole("x509");
        answer.as_object_mut().unwrap().remove(key);
        answer
    };
    for answer in [
        // A service older than certificates, and a secret that is none.
        json!({ "value": "{}" }),
        json!({ "value": "a-plain-secret-value" }),
        whole("ssh"),
        whole("of-a-later-service"),
        // Not our key.
        whole("x509"),
        without("certificate"),
        without("certificateType"),
        without("validAfter"),
        without("validBefore"),
    ] {
        let (vault, sk) = start(|b| b.certificate("sk_cert", CertificateProfile::new("api")));
        let answer = answer.to_string();
        let (refused, sent) = answered(&vault, &[(200, &answer)], || {
            sk.certificate("sk_cert").live()
        });
        assert!(refused.is_err(), "{answer}");
        assert_eq!(sent, ["GET /v1/secret/sk_cert"]);
    }
}

/// What a read of a secret with this policy answers, read after read: `ok`, or the kind and the status.
fn reads<const N: usize>(setting: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> [String; N] {
    let (vault, sk) = start(|b| setting(b.secret("sk_policy", "value-with-a-policy")));
    [(); N].map(|()| {
        let answer = match sk.get_secret("sk_policy") {
            Ok(_) => "ok".to_owned(),
            Err(error) => format!("{:?} {}", error.kind(), error.http_status().unwrap_or(0)),
        };
        let sent = requests(&vault).len();
        // Only a 429 is asked for again, three times.
        assert_eq!(
            sent,
            if answer.ends_with("429") { 4 } else { 1 },
            "{answer}"
        );
        answer
    })
}

#[test]
fn policies_by_the_table() {
    for (status, refused) in [
        (403, "AccessDenied 403"),
        (404, "NotFound 404"),
        (410, "Api 410"),
        (429, "RateLimited 429"),
    ] {
        let minute = Policy::new().reads_per_minute(2).cap_status(status);
        let day = Policy::new().reads_per_day(2).cap_status(status);
        let spent = Policy::new().ttl_max_reads(2).spent_status(status);
        for policy in [minute, day, spent] {
            assert_eq!(
                reads(|b| b.policy("sk_policy", policy)),
                ["ok", "ok", refused]
            );
        }
    }
    // A weekly window: two hours from now it opens, for one hour.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let hour = |ahead: u64| (now / 3600 + ahead) % 24;
    let later = format!("daily {:02}:00-{:02}:00 UTC", hour(2), hour(3));
    for (window, expected) in [
        (&*later, "AccessDenied 403"),
        ("daily 00:00-24:00 Europe/Oslo", "ok"),
    ] {
        let policy = Policy::new().window(window.parse().unwrap());
        assert_eq!(reads(|b| b.policy("sk_policy", policy)), [expected]);
    }
    // A source outside of the list, and a second machine that has not signed: denied, and may be over later.
    let elsewhere = Policy::new().source([192, 0, 2, 0], 24);
    assert_eq!(
        reads(|b| b.policy("sk_policy", elsewhere)),
        ["AccessDenied 403"]
    );
    let here = Policy::new().source([127, 0, 0, 0], 8);
    assert_eq!(reads(|b| b.policy("sk_policy", here)), ["ok"]);
    let co_signed = Policy::new().co_sign(true);
    assert_eq!(
        reads(|b| b.policy("sk_policy", co_signed)),
        ["AccessDenied 403"]
    );

    // A value that its reads replace.
    let rotating = Policy::new().rotate_after_reads(2);
    let (vault, sk) = start(|b| {
        b.secret("sk_policy", "value-before-reads")
            .policy("sk_policy", rotating)
    });
    for _ in 0..4 {
        sk.get_secret("sk_policy").unwrap();
    }
    assert_eq!(vault.rotations().len(), 2);
}

#[test]
fn a_lease_is_the_fields_of_its_connection() {
    let fields = json!({
        "host": "db", "port": "5432", "database": "shop", "username": "x", "password": "y",
    });
    let every = |mint: bool| {
        let lease = Lease::new(Duration::from_secs(600)).mint_on_every_read(mint);
        let (vault, sk) = start(|b| {
            b.json("sk_lease", fields.to_string())
                .lease("sk_lease", lease)
        });
        let read = |name: &str| {
            let value = sk.get_field("sk_lease", name).unwrap();
            value.expose_secret().to_owned()
        };
        let logins = [(); 2].map(|()| read("username"));
        assert_eq!([read("database"), read("port")], ["shop", "5432"]);
        let names = sk.get_fields("sk_lease").unwrap();
        assert_eq!(names.iter().count(), 5);
        (logins[0] == logins[1], vault.minted("sk_lease"))
    };
    // One login while the lease lasts; one for each of the five reads where the policy says so.
    assert_eq!(every(false), (true, 1));
    assert_eq!(every(true), (false, 5));
}

/// A clock that stands still.
#[derive(Debug)]
struct At(i64);

impl Clock for At {
    fn unix_now(&self) -> i64 {
        self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn webhooks_by_the_table() {
    // The signatures are Python's: hmac.new(secret, body, hashlib.sha256).hexdigest().
    let secret = "whsec_conformance_1";
    let rotated = r#"{"id":"evt_1","event":"secret_rotate","severity":"info","timestamp":1790000000000,"data":{"userId":null,"machineId":"m_1","secretId":"sk_1b13qr1sb2","sourceIp":"192.0.2.7","detail":"by a person"}}"#;
    let rotated_by = "ec04f217670c32a0f205c84376bff14d7e5afd1af5c587f64df41ced01c039dc";
    let deleted = r#"{"id":"evt_2","event":"secret_delete","severity":"warning","timestamp":1790000000000,"data":{}}"#;
    let deleted_by = "ef23483d088f28fcc86c8a9e64443d9f42e71fabc170811f81427ff677052faf";
    let webhook = || Webhook::new(secret).clock(Arc::new(At(1_790_000_000)));

    for (signature, body, event, about) in [
        (
            rotated_by.to_owned(),
            rotated,
            "secret_rotate",
            Some("sk_1b13qr1sb2"),
        ),
        (
            format!("sha256={rotated_by}"),
            rotated,
            "secret_rotate",
            Some("sk_1b13qr1sb2"),
        ),
        (
            rotated_by.to_ascii_uppercase(),
            rotated,
            "secret_rotate",
            Some("sk_1b13qr1sb2"),
        ),
        (deleted_by.to_owned(), deleted, "secret_delete", None),
    ] {
        let webhook = webhook();
        for repeat in [false, true] {
            let delivered = webhook.verify(&signature, body).unwrap();
            assert_eq!(delivered.event(), event);
            assert_eq!(delivered.secret_id(), about);
            assert_eq!(delivered.is_repeat(), repeat);
            let at = delivered.timestamp().duration_since(UNIX_EPOCH);
            assert_eq!(at.unwrap(), Duration::from_secs(1_790_000_000));
        }
    }
    let changed = rotated.replace("evt_1", "evt_3");
    for (signature, body) in [
        (rotated_by, deleted),
        (rotated_by, &*changed),
        (&rotated_by[..62], rotated),
        ("", rotated),
        ("sha256=", rotated),
        (&*format!("sha512={rotated_by}"), rotated),
        (&*format!("{rotated_by}00"), rotated),
    ] {
        assert_eq!(
            webhook().verify(signature, body).unwrap_err(),
            WebhookError::Signature
        );
    }
    // Its age is that of the signed body, whose time is long past or far ahead by any clock that runs this.
    let fresh = Webhook::new(secret);
    assert_eq!(
        fresh.verify(rotated_by, rotated).unwrap_err(),
        WebhookError::Age
    );
}
