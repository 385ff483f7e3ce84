/// The tokio runtime that user code was handed over in, if there was one. A builder that connects
/// lazily spawns a task also when it is called on the callback thread.
#[derive(Clone)]
pub(super) struct Runtime {
    #[cfg(feature = "tokio")]
    handle: Option<tokio::runtime::Handle>,
}

impl Runtime {
    /// That of the caller.
    pub(super) fn current() -> Self {
        Runtime {
            #[cfg(feature = "tokio")]
            handle: tokio::runtime::Handle::try_current().ok(),
        }
    }

    /// Runs this code inside it.
    pub(super) fn run<R>(&self, code: impl FnOnce() -> R) -> R {
        #[cfg(feature = "tokio")]
        let _entered = self.handle.as_ref().map(tokio::runtime::Handle::enter);
        code()
    }
}
