/// The tokio runtime in which the user registered a function, if there was one. Entering it lets a build that
/// spawns tasks run on the callback thread.
#[derive(Clone)]
pub(super) struct Runtime {
    #[cfg(feature = "tokio")]
    handle: Option<tokio::runtime::Handle>,
}

impl Runtime {
    /// Takes the runtime of the caller.
    pub(super) fn current() -> Self {
        Runtime {
            #[cfg(feature = "tokio")]
            handle: tokio::runtime::Handle::try_current().ok(),
        }
    }

    /// Runs this code inside the runtime.
    pub(super) fn run<R>(&self, code: impl FnOnce() -> R) -> R {
        #[cfg(feature = "tokio")]
        let _entered = self.handle.as_ref().map(tokio::runtime::Handle::enter);
        code()
    }
}
