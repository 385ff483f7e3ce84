//! Every public type can be sent to another thread, shared with one, and moved after it was pinned.

use sikkerkey::live::{
    Listener, LiveControl, Loaded, LoadedPart, RecvError, ResourceState, ResourceStatus,
    SecretState, Select, Subscription, WeakLive,
};
use sikkerkey::{
    Bootstrap, Change, Check, CheckReport, CheckStatus, Collision, ConfigError, Error, ErrorKind,
    Export, Fetch, Fields, Freshness, Live, LiveResource, LiveStatus, Loader, Necessity, Problem,
    ProblemKind, ReadOutcome, Requirement, RetryPolicy, Schema, SecretListItem, SecretRef,
    SikkerKey, SikkerKeyBuilder, Snapshot, ValueError, ValueKind, Watch, WatchEvent, WatchKind,
};

fn free<T: Send + Sync + Unpin>() {}

macro_rules! free {
    ($($type:ty),* $(,)?) => { $(free::<$type>();)* };
}

/// What a user's config and resource may be: shared, and nothing more.
struct Config;

#[test]
fn every_public_type_is_send_sync_and_unpin() {
    free!(
        SikkerKey,
        SikkerKeyBuilder,
        Bootstrap,
        RetryPolicy,
        Error,
        ErrorKind,
        SecretListItem,
        Fields,
        Export,
        Collision,
        Watch,
        WatchEvent,
        WatchKind,
        Fetch,
        Loader<Config>,
        Schema,
        Requirement,
        SecretRef,
        Necessity,
        ValueKind,
        ValueError,
        Snapshot,
        ReadOutcome,
        ConfigError,
        Problem,
        ProblemKind,
        CheckReport,
        Check,
        CheckStatus,
        Live<Config>,
        LiveResource<Config>,
        LiveStatus,
        Freshness,
        Change<Config>,
        Loaded<Config>,
        LoadedPart<Config, u8>,
        Select<Config, u8>,
        Subscription<Config>,
        SecretState,
        RecvError,
        Listener,
        LiveControl<Config>,
        ResourceState,
        ResourceStatus,
        WeakLive<Config>,
    );
    #[cfg(feature = "tokio")]
    free!(sikkerkey::AsyncSikkerKey);
    #[cfg(feature = "cache")]
    free!(sikkerkey::CacheOptions);
    #[cfg(feature = "rustls")]
    free!(
        sikkerkey::tls::TlsIdentity,
        sikkerkey::tls::TwoSecrets<std::cell::Cell<u8>>,
        sikkerkey::tls::TrustRoots,
        sikkerkey::tls::CertificateRequest,
        sikkerkey::tls::LiveCertificate,
        sikkerkey::tls::CertificateStatus,
    );
    #[cfg(feature = "webhook")]
    free!(
        sikkerkey::webhook::Webhook,
        sikkerkey::webhook::WebhookEvent,
        sikkerkey::webhook::WebhookError,
    );
}

#[test]
fn collections_are_iterated_by_reference() {
    let snapshot = Snapshot::from_iter([("sk_a", "1")]);
    for (id, outcome) in &snapshot {
        assert!(id == "sk_a" && outcome.value().is_some());
    }
    let schema = Schema::from_iter([Requirement::new("a", SecretRef::Id("sk_a".into()))]);
    for requirement in &schema {
        assert_eq!(requirement.path(), "a");
    }
    for _ in &Fields::default() {}
    for _ in &Export::default() {}
}
