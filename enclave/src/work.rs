//! Work that is done to its end whoever waits for it.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

/// A future that runs where it is awaited, and goes on as a task of its own if it is dropped before its end. A task from
/// the beginning would do the same; this costs one only where somebody has gone.
pub(crate) struct Work<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

/// The work ended without a result: by a fault of ours, or because it was waited for after its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Failed;

impl<T: Send + 'static> Work<T> {
    /// Nothing runs before it is awaited or dropped.
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }

    /// Whether there is nothing left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_none()
    }
}

impl<T: Send + 'static> Future for Work<T> {
    type Output = Result<T, Failed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Taken out, so that what has panicked is not asked to go on.
        let Some(mut work) = self.0.take() else { return Poll::Ready(Err(Failed)) };
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
            Ok(Poll::Pending) => {
                self.0 = Some(work);
                Poll::Pending
            }
            Err(_panic) => {
                tracing::error!("work ended by a fault of ours");
                Poll::Ready(Err(Failed))
            }
        }
    }
}

impl<T: Send + 'static> Drop for Work<T> {
    fn drop(&mut self) {
        // Without a runtime the gateway is ending.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move { drop(work.await) });
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Work<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_over() { "Work(over)" } else { "Work(..)" })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_gives_its_result_where_it_is_awaited() {
        let mut work = Work::new(async {
            tokio::task::yield_now().await;
            7
        });
        assert!(!work.is_over());
        assert_eq!((&mut work).await, Ok(7));
        assert!(work.is_over());
        assert_eq!(work.await, Err(Failed));
    }

    #[tokio::test]
    async fn work_that_is_dropped_halfway_goes_on_to_its_end() {
        let (go, going) = oneshot::channel::<()>();
        let (done, told) = oneshot::channel();
        let mut work = Work::new(async move {
            let _go = going.await;
            let _told = done.send("done");
        });
        let short = tokio::time::timeout(Duration::from_millis(5), &mut work).await;
        assert!(short.is_err(), "it waits for somebody");
        drop(work);
        go.send(()).unwrap();
        assert_eq!(told.await, Ok("done"));
    }

    #[tokio::test]
    async fn work_that_nobody_awaits_at_all_is_done_too() {
        let (done, told) = oneshot::channel();
        drop(Work::new(async move {
            let _told = done.send("done");
        }));
        assert_eq!(told.await, Ok("done"));
    }

    #[tokio::test]
    async fn a_fault_in_it_is_an_error_and_no_end_of_whoever_waits() {
        #[expect(clippy::panic, reason = "the fault that is tested")]
        let work = Work::<u8>::new(async { panic!("a fault") });
        assert_eq!(work.await, Err(Failed));
    }
}
