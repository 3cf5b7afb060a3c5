//! One call, from what a stranger sent to what may leave again.

use evidence::{ResultObject, proof::Envelope};
use gate::{Call, Permitted, Proven, Receipt, Refusal, Reservation, Unverified};

use crate::{app::App, enablement::Scope};

/// What leaves: a result with its proof.
#[derive(Debug)]
pub(crate) struct Reply {
    /// R of docs/WIRE.md, P2.
    pub(crate) result: ResultObject,
    /// Its proof, and what opens it.
    pub(crate) envelope: Envelope,
}

/// `Unverified → Identified → Permitted → Funded → Executed → Proven → Settled → Reply`.
///
/// # Errors
/// [`Refusal`]: what, why and how to fix it. Nothing has been charged then.
pub(crate) async fn serve(app: &App, call: Unverified<Call>, scope: Option<&Scope>) -> Result<Reply, Refusal> {
    let identified = call.identify(&app.identities)?;
    let permitted = identified.permit(&app.catalogue)?;
    let _slot = app.slots.try_acquire().map_err(|_| Refusal::Busy { retry_after_s: 1 })?;
    let reservation = reserve(&permitted);
    let funded = permitted.fund(reservation);
    let server = app.catalogue.by_id(&funded.call().server).ok_or(Refusal::Internal { part: "catalogue" })?;
    let ready = server.ready()?;
    let run = app.runner.run(&funded, server, ready, scope.map(Scope::key)).await?;
    let executed = funded.executed(run);
    let envelope = app.prover.prove(&executed, ready)?;
    let proven = executed.proven(envelope);
    let receipt = settle(&proven);
    let (result, envelope) = proven.settled(receipt).into_reply();
    app.prover.keep(&envelope);
    Ok(Reply { result, envelope })
}

/// The rail `free`: nothing is set aside.
fn reserve(permitted: &Permitted) -> Reservation {
    match permitted.price() {
        gate::Price::Free => Reservation::Free,
    }
}

/// The rail `free`: nothing is taken.
fn settle(proven: &Proven) -> Receipt {
    match proven.reservation() {
        Reservation::Free => Receipt::Free,
    }
}
