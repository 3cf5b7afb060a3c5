//! Carries what is said while a request runs to its client: one JSON answer, or a stream from the moment on which something
//! comes before it.

use std::{sync::Arc, time::Instant};

use evidence::json::{Value, object};
use gate::Refusal;
use tokio::task::JoinSet;

use super::{
    answer::Answer,
    asker::Outgoing,
    feed::{Elsewhere, Others},
    sse,
    turn::{Step, Turn},
};
use crate::{app::App, boot, conversation::Listening};

/// What a client hears whose state is not one: tampered with, foreign, used, ended, or of another boot.
const START_AGAIN: &str = "requestState is none that this gateway gave to this caller for this request, or it was used \
                           already, or it has ended; start again: send the request without requestState and inputResponses";

/// Follows a request to its answer, or to the first message before it.
pub(crate) async fn drive(app: &Arc<App>, mut turn: Turn, listening: Listening) -> Outgoing {
    let mut listening = Some(listening);
    let mut open = JoinSet::new();
    while let Some(heard) = listening.as_mut() {
        let said = heard.next().await;
        match turn.step(app, said, &mut listening, &mut open).await {
            Step::Messages(messages) if turn.streams => return stream(app, turn, listening, open, messages),
            Step::Nothing | Step::Messages(_) | Step::Aside(_) => {}
            Step::Last(answer) => return answer.into(),
            Step::Withdrawn => break,
        }
    }
    Answer::protocol_refusal(turn.era, &turn.id, &Refusal::Withdrawn).into()
}

/// Goes on with a parked request: gives it the answers that came, or asks again for what is missing.
pub(crate) async fn resume(app: &Arc<App>, mut turn: Turn, state: &str) -> Outgoing {
    let id = turn.id.clone();
    let wrong = |text: &str| Outgoing::from(Answer::error(200, &id, -32602, text, None));
    let Ok(now) = boot::now() else {
        return Answer::protocol_refusal(turn.era, &turn.id, &Refusal::Internal { part: "clock" }).into();
    };
    let Ok(name) = app.lobby.seal.open(&turn.binding(), state, now.0) else { return wrong(START_AGAIN) };
    let responses = turn.responses.take().unwrap_or_else(|| object([]));
    // Wrong answers leave it parked: the client may send better ones with the same state.
    if let Err(why) = app.lobby.parked.check(&name, |waiting| waiting.check(&responses)) {
        return wrong(&format!("{why}; answer what inputRequests asks, in its shape"));
    }
    let Some(parked) = app.lobby.parked.take(&name, Instant::now()) else { return wrong(START_AGAIN) };
    turn.asked = parked.asked;
    let (mut waiting, mut listening) = (parked.waiting, Some(parked.listening));
    waiting.take(&responses);
    // Where the server has ended meanwhile nobody waits for what is missing: the client hears the end instead.
    let is_over = listening.as_ref().is_some_and(Listening::is_over);
    if !waiting.is_answered() && !is_over {
        return match turn.ask(app, waiting, &mut listening).await {
            Step::Last(answer) => answer.into(),
            _ => wrong(START_AGAIN),
        };
    }
    waiting.deliver();
    match listening {
        Some(listening) => drive(app, turn, listening).await,
        None => wrong(START_AGAIN),
    }
}

/// The rest of a request as a stream. It ends with the answer, and with its reader.
fn stream(
    app: &Arc<App>,
    mut turn: Turn,
    mut listening: Option<Listening>,
    mut open: JoinSet<()>,
    first: Vec<Value>,
) -> Outgoing {
    // A reader that is slow must not hold up the work.
    if let Some(listening) = &mut listening {
        listening.let_go();
    }
    let (events, response) = sse::stream();
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let mut messages = first;
        let mut others = turn.elsewhere.take().map(Elsewhere::feed);
        loop {
            for message in &messages {
                if events.message(message).await.is_err() {
                    return;
                }
            }
            let Some(heard) = listening.as_mut() else { return };
            let said = tokio::select! {
                said = heard.next() => said,
                told = Others::next(&mut others) => {
                    messages = told.into_iter().collect();
                    continue;
                }
                // What waits for this reader is dropped with it: questions are answered by an error, and a modern
                // client's request is withdrawn.
                () = events.gone() => return,
            };
            messages = match turn.step(&app, said, &mut listening, &mut open).await {
                Step::Nothing => Vec::new(),
                Step::Messages(messages) => messages,
                Step::Aside(message) => vec![message],
                Step::Last(answer) => {
                    let _gone = events.message(&answer.message).await;
                    return;
                }
                Step::Withdrawn => return,
            };
        }
    });
    Outgoing::Stream(response)
}
