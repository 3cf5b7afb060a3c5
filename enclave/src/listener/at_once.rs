//! A future that wakes itself while it runs, and is asked again at once.
//!
//! A connection of HTTP does that with every request: its body goes from the half that reads to the half that answers, in
//! one task. To tokio that is a task that gives way: it goes to the end of its worker's queue and another worker is woken to
//! take it, which costs more than all the rest of the hand-over.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// How often it is asked before others have their turn.
const MOST: usize = 4;

/// Nobody asks it: who wakes it wakes its task.
const RESTS: u8 = 0;
/// It is being asked.
const RUNS: u8 = 1;
/// It was woken while it was asked.
const WOKEN: u8 = 2;

/// The future, and who wakes it.
pub(super) struct AtOnce<F> {
    future: F,
    bell: Option<(Arc<Bell>, Waker)>,
}

struct Bell {
    state: AtomicU8,
    task: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == RESTS {
            self.task.wake_by_ref();
        }
    }
}

impl<F: Future + Unpin> AtOnce<F> {
    pub(super) fn new(future: F) -> Self {
        Self { future, bell: None }
    }
}

impl<F: Future + Unpin> Future for AtOnce<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, bell } = self.get_mut();
        let (bell, waker) = match bell {
            Some((bell, waker)) if bell.task.will_wake(context.waker()) => (bell, waker),
            other => {
                let bell = Arc::new(Bell { state: AtomicU8::new(RESTS), task: context.waker().clone() });
                let waker = Waker::from(Arc::clone(&bell));
                let (bell, waker) = other.insert((bell, waker));
                (bell, waker)
            }
        };
        let mut inner = Context::from_waker(waker);
        for _ in 0..MOST {
            // Exchanged, not stored, here as there: what a waker did before it rang is seen by what is asked from here on.
            bell.state.swap(RUNS, Ordering::AcqRel);
            if let Poll::Ready(output) = Pin::new(&mut *future).poll(&mut inner) {
                return Poll::Ready(output);
            }
            if bell.state.compare_exchange(RUNS, RESTS, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Poll::Pending;
            }
        }
        bell.state.swap(RESTS, Ordering::AcqRel);
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::{Mutex, atomic::AtomicUsize},
    };

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Asks once as a task would. Gives what came of it and how often the task was woken meanwhile.
    fn ask<T>(future: &mut (impl Future<Output = T> + Unpin)) -> (Poll<T>, usize) {
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let polled = Pin::new(future).poll(&mut Context::from_waker(&waker));
        (polled, task.0.load(Ordering::SeqCst))
    }

    #[test]
    fn what_wakes_itself_is_asked_again_and_its_task_hears_nothing() {
        let mut asked = 0;
        let mut future = AtOnce::new(poll_fn(|context| {
            asked += 1;
            if asked == 4 {
                return Poll::Ready("done");
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        assert_eq!(ask(&mut future), (Poll::Ready("done"), 0));
    }

    #[test]
    fn what_is_woken_while_it_rests_is_asked_once() {
        let mut asked = 0;
        let kept = Mutex::new(None::<Waker>);
        let mut future = AtOnce::new(poll_fn(|context| {
            asked += 1;
            *kept.lock().unwrap() = Some(context.waker().clone());
            Poll::<()>::Pending
        }));
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        for woken in 1..3 {
            assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
            for _ in 0..5 {
                kept.lock().unwrap().as_ref().unwrap().wake_by_ref();
            }
            assert_eq!(task.0.load(Ordering::SeqCst), woken, "the task was woken already");
        }
        drop(future);
        assert_eq!(asked, 2);
    }

    #[test]
    fn what_wakes_itself_for_ever_gives_way_to_others() {
        let mut asked = 0;
        let mut future = AtOnce::new(poll_fn(|context| {
            asked += 1;
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        assert_eq!(ask(&mut future), (Poll::Pending, 1));
        assert_eq!(ask(&mut future), (Poll::Pending, 1));
        drop(future);
        assert_eq!(asked, 2 * MOST);
    }

    #[test]
    fn what_rests_is_woken_through_its_newest_task_and_once_for_each_call() {
        let kept = Mutex::new(None);
        let mut future = AtOnce::new(poll_fn(|context| {
            *kept.lock().unwrap() = Some(context.waker().clone());
            Poll::<()>::Pending
        }));
        let wake = || kept.lock().unwrap().take().unwrap().wake();
        let (first, second) = (Arc::new(Task::default()), Arc::new(Task::default()));
        for (task, woken) in [(&first, [1, 0]), (&second, [1, 1]), (&second, [1, 2]), (&first, [2, 2])] {
            let waker = Waker::from(Arc::clone(task));
            assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
            wake();
            assert_eq!([&first, &second].map(|task| task.0.load(Ordering::SeqCst)), woken);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_answer_of_another_thread_is_lost_while_it_wakes_itself() {
        let mut others = tokio::task::JoinSet::new();
        for _ in 0..20_000 {
            let (to, mut from) = tokio::sync::oneshot::channel();
            others.spawn(async move { to.send(7).unwrap() });
            let mut rounds = 0;
            let asked = AtOnce::new(poll_fn(move |context| {
                rounds += 1;
                if rounds < 3 {
                    context.waker().wake_by_ref();
                }
                Pin::new(&mut from).poll(context)
            }));
            let answer = tokio::time::timeout(std::time::Duration::from_secs(10), tokio::spawn(asked));
            assert_eq!(answer.await.unwrap().unwrap(), Ok(7));
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_wake_of_another_thread_is_lost() {
        let (to, mut from) = tokio::sync::mpsc::channel::<u32>(1);
        let sender = tokio::spawn(async move {
            for n in 0..20_000 {
                to.send(n).await.unwrap();
            }
        });
        let mut next = 0;
        let receiver = AtOnce::new(Box::pin(async move {
            while let Some(n) = from.recv().await {
                assert_eq!(n, next);
                next += 1;
            }
            next
        }));
        assert_eq!(tokio::spawn(receiver).await.unwrap(), 20_000);
        sender.await.unwrap();
    }
}
