//! Batches (JSON-RPC 2.0, section 6), which MCP has in 2025-03-26 alone: one array in, one array out.

use std::pin::Pin;

use evidence::json::Value;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::era::WITH_BATCHES;

/// Messages of one batch that run at the same time.
pub(crate) const AT_ONCE: usize = 8;

/// Whether a client of this version may send a batch. Who says no version is of 2025-03-26 (MCP 2025-06-18, Transports).
pub(crate) fn is_taken(version: Option<&str>) -> bool {
    version.is_none_or(|version| version == WITH_BATCHES)
}

/// The answer to a batch: `None` where nothing in it wanted one.
pub(crate) fn joined(answers: Vec<Value>) -> Option<Value> {
    (!answers.is_empty()).then_some(Value::Array(answers))
}

/// An answer that is being worked on.
pub(crate) type Answering<'a, A> = Pin<Box<dyn Future<Output = A> + Send + 'a>>;

/// Has each message answered, at most [`AT_ONCE`] at the same time, begun in their order. Those of which `in_turn` is true
/// run one after the other. The answers stand in the order of the messages.
pub(crate) async fn run<'a, M: Send + 'a, A: Send + 'a>(
    messages: Vec<M>,
    in_turn: impl Fn(&M) -> bool,
    answer: &'a (dyn Fn(M) -> Answering<'a, A> + Sync),
) -> Vec<A> {
    let mut lines: Vec<Vec<(usize, M)>> = Vec::new();
    let mut in_turn_at = None;
    for (at, message) in messages.into_iter().enumerate() {
        match (in_turn(&message), in_turn_at.and_then(|line: usize| lines.get_mut(line))) {
            (true, Some(line)) => line.push((at, message)),
            (is_in_turn, _) => {
                if is_in_turn {
                    in_turn_at = Some(lines.len());
                }
                lines.push(vec![(at, message)]);
            }
        }
    }
    let mut waiting = lines.into_iter().map(|line| one_line(line, answer));
    let mut running: FuturesUnordered<_> = waiting.by_ref().take(AT_ONCE).collect();
    let mut answers = Vec::new();
    while let Some(more) = running.next().await {
        answers.extend(more);
        running.extend(waiting.next());
    }
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn one_line<'a, M: Send + 'a, A: Send + 'a>(
    line: Vec<(usize, M)>,
    answer: &'a (dyn Fn(M) -> Answering<'a, A> + Sync),
) -> Answering<'a, Vec<(usize, A)>> {
    Box::pin(async move {
        let mut answers = Vec::with_capacity(line.len());
        for (at, message) in line {
            answers.push((at, answer(message).await));
        }
        answers
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn one_version_has_batches_and_it_is_the_one_of_who_says_none() {
        assert!(is_taken(None) && is_taken(Some("2025-03-26")));
        for version in ["2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28"] {
            assert!(!is_taken(Some(version)), "{version}");
        }
    }

    #[tokio::test]
    async fn so_many_run_at_the_same_time_and_those_that_must_one_after_the_other() {
        #[derive(Default)]
        struct Seen {
            running: usize,
            most: usize,
            begun: Vec<usize>,
            in_turn: bool,
        }
        let seen = Mutex::new(Seen::default());
        let answer = |n: usize| -> Answering<'_, usize> {
            let seen = &seen;
            Box::pin(async move {
                {
                    let mut seen = seen.lock().unwrap();
                    seen.begun.push(n);
                    seen.running += 1;
                    seen.most = seen.most.max(seen.running);
                    let has_turn = n.is_multiple_of(3);
                    assert!(!has_turn || !seen.in_turn, "{n} runs beside another that has its turn");
                    seen.in_turn |= has_turn;
                }
                // The later ones are done earlier.
                for _ in n..40 {
                    tokio::task::yield_now().await;
                }
                let mut seen = seen.lock().unwrap();
                seen.in_turn &= !n.is_multiple_of(3);
                seen.running -= 1;
                n * 10
            })
        };
        let answers = run((0..32).collect(), |n| n.is_multiple_of(3), &answer).await;
        assert_eq!(answers, (0..32).map(|n| n * 10).collect::<Vec<_>>());
        let seen = seen.lock().unwrap();
        assert_eq!((seen.most, &seen.begun[..8]), (AT_ONCE, &[0, 1, 2, 4, 5, 7, 8, 10][..]));
        let turns: Vec<usize> = seen.begun.iter().copied().filter(|n| n.is_multiple_of(3)).collect();
        assert!(turns.is_sorted(), "{turns:?}");
    }
}
