//! One call, from what a stranger sent to what may leave again.

use std::sync::Arc;

use evidence::{ResultObject, ServerId, json::Value, proof::Envelope};
use gate::{Authentication, Call, Executed, Inquiry, Permitted, Principal, Refusal, Unverified};

use crate::{
    app::App,
    catalogue::{Offering, Server},
    conversation::Speaker,
    enablement::{Narrower, Scope},
    errand::{Errand, Spoken},
    http::Presented,
    till::{Held, Paid, Purchase, StoredReply, Taken},
    work::Work,
};

/// What came in: a call, and what came with it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The call.
    pub(crate) call: Call,
    /// Who makes it.
    pub(crate) who: Authentication,
    /// `X-MCP-Session`, `X-Runtime-Scope-Id`.
    pub(crate) session: Narrower,
    /// What pays for it.
    pub(crate) payment: Presented,
    /// What goes to the server with it.
    pub(crate) errand: Errand,
    /// The tools of the caller's own container, where they are others than at install: [`App::live_tools`].
    pub(crate) tools: Option<Arc<[Value]>>,
}

/// What came in: a request other than a tool call.
#[derive(Debug)]
pub(crate) struct Inquired {
    /// The server that is asked.
    pub(crate) server: ServerId,
    /// Who asks.
    pub(crate) who: Authentication,
    /// `X-MCP-Session`, `X-Runtime-Scope-Id`.
    pub(crate) session: Narrower,
    /// Method and parameters.
    pub(crate) errand: Errand,
}

/// What a server answered to it.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Its result, or its error; an object in either case.
    pub(crate) answer: Result<Value, Value>,
    /// The server's era: what its results carry differs.
    pub(crate) spoken: Spoken,
}

/// What leaves: a result with its proof, and what was paid.
#[derive(Debug)]
pub(crate) struct Reply {
    /// R of docs/WIRE.md, P2.
    pub(crate) result: ResultObject,
    /// Its proof, what opens it, and what became of its payment.
    pub(crate) envelope: Envelope,
    /// What was taken.
    pub(crate) paid: Option<Paid>,
    /// The type of the result where it is another than `complete`: an extension's.
    pub(crate) of_type: Option<String>,
}

/// `Unverified → Identified → Permitted → Funded → Executed → Proven → Settled → Reply`.
///
/// # Errors
/// [`Refusal`]: what, why and how to fix it. Nothing has been charged then, unless it says that the settlement is
/// pending.
pub(crate) async fn serve(app: &Arc<App>, asked: Asked, speaker: &mut Speaker) -> Result<Reply, Refusal> {
    let identified = Unverified(asked.call).identify(asked.who, &app.operators)?;
    let principal = *identified.principal();
    let scope = Scope::of(&principal, &asked.session);
    let stored = app.secret_names(&principal, &identified.call().server).await?;
    let permitted = identified.permit(&Offering { catalogue: &app.catalogue, tools: asked.tools }, &stored)?;
    let purchase = purchase(app, &permitted, scope.as_ref())?;
    let held = match app.till.reserve(purchase.as_ref(), asked.payment).await? {
        Taken::Held(held) => held,
        Taken::Answered(stored, paid) => return restored(app, &stored, *paid),
    };
    // Only what runs takes one: whoever waits for the chain, or for the same payment's call, is in nobody's way.
    let Ok(slot) = app.slots.try_acquire() else {
        app.till.release(held).await;
        return Err(Refusal::Busy { retry_after_s: 1 });
    };
    let funded = match permitted.fund(held) {
        Ok(funded) => funded,
        Err((refusal, held)) => {
            app.till.release(held).await;
            return Err(refusal);
        }
    };
    let server = app.catalogue.by_id(&funded.call().server).ok_or(Refusal::Internal { part: "catalogue" })?;
    let ready = server.ready()?;
    if !funded.price().is_zero() {
        speaker.numbers_only();
    }
    let running = async {
        let secrets = app.secrets(&principal, &funded.call().server).await?;
        let key = scope.as_ref().map(Scope::key);
        app.runner.run(&funded, server, ready, key, secrets, &asked.errand, speaker).await
    };
    // Whoever leaves before the call has run has withdrawn it.
    let run = tokio::select! {
        biased;
        () = speaker.gone() => Err(Refusal::Withdrawn),
        run = running => run,
    };
    let run = run.and_then(|run| if speaker.carry_out() { Ok(run) } else { Err(Refusal::Withdrawn) });
    let (run, of_type) = match run {
        Ok(run) => run,
        Err(refusal) => {
            app.till.release(funded.abandoned()).await;
            return Err(refusal);
        }
    };
    drop(slot);
    // What ran is paid and kept, also where its caller is gone by now.
    let finishing = Work::new(finish(Arc::clone(app), funded.executed(run), purchase, of_type));
    finishing.await.map_err(|_| Refusal::Internal { part: "pipeline" })?
}

/// `Unverified → Identified → Permitted → Answered`: a request other than a tool call costs nothing and has no proof.
///
/// # Errors
/// [`Refusal`].
pub(crate) async fn ask(app: &Arc<App>, asked: Inquired, speaker: &Speaker) -> Result<Answered, Refusal> {
    let identified = Unverified(Inquiry { server: asked.server }).identify_inquirer(asked.who, &app.operators)?;
    let principal = *identified.principal();
    let scope = Scope::of(&principal, &asked.session);
    let stored = app.secret_names(&principal, identified.server()).await?;
    let permitted = identified.permit(&app.catalogue, &stored)?;
    let Ok(_slot) = app.slots.try_acquire() else { return Err(Refusal::Busy { retry_after_s: 1 }) };
    let server = app.catalogue.by_id(permitted.server()).ok_or(Refusal::Internal { part: "catalogue" })?;
    let ready = server.ready()?;
    let asking = async {
        let secrets = app.secrets(&principal, permitted.server()).await?;
        let key = scope.as_ref().map(Scope::key);
        app.runner.ask(&permitted, server, ready, key, secrets, &asked.errand, speaker).await
    };
    tokio::select! {
        answered = asking => answered,
        () = speaker.gone() => Err(Refusal::Withdrawn),
    }
}

/// `Unverified → Identified → Permitted`, and the server runs: for whoever follows what it announces.
///
/// # Errors
/// [`Refusal`].
pub(crate) async fn hold(app: &Arc<App>, asked: Inquired) -> Result<Arc<sandbox::Session>, Refusal> {
    let identified = Unverified(Inquiry { server: asked.server }).identify_inquirer(asked.who, &app.operators)?;
    let principal = *identified.principal();
    let scope = Scope::of(&principal, &asked.session).ok_or(Refusal::WalletRequired)?;
    let stored = app.secret_names(&principal, identified.server()).await?;
    let permitted = identified.permit(&app.catalogue, &stored)?;
    let server = app.catalogue.by_id(permitted.server()).ok_or(Refusal::Internal { part: "catalogue" })?;
    let secrets = app.secrets(&principal, permitted.server()).await?;
    let key = sandbox::PoolKey { server: permitted.server().clone(), principal: scope.key() };
    app.runner.hold(&permitted, server, server.ready()?, &key, secrets).await
}

/// `Executed → Proven → Settled → Reply`.
async fn finish(
    app: Arc<App>,
    executed: Executed<Held>,
    purchase: Option<Purchase>,
    of_type: Option<String>,
) -> Result<Reply, Refusal> {
    let server = app.catalogue.by_id(&executed.call().server);
    let proof = server
        .ok_or(Refusal::Internal { part: "catalogue" })
        .and_then(|server| server.ready())
        .and_then(|ready| app.prover.prove(app.state, &executed, ready));
    let envelope = match proof {
        Ok(envelope) => envelope,
        Err(refusal) => {
            app.till.release(executed.abandoned()).await;
            return Err(refusal);
        }
    };
    let (settling, held) = executed.proven(envelope).settle();
    let (receipt, paid) = if settling.due().is_zero() {
        app.till.release(held).await;
        (gate::Receipt::Nothing, None)
    } else {
        let (result, envelope) = settling.kept();
        let purchase = purchase.ok_or(Refusal::Internal { part: "payments" })?;
        let paid = app.till.settle(&purchase, held, StoredReply::of(result, envelope, of_type.as_deref())).await?;
        (paid.receipt(), Some(paid))
    };
    let (result, mut envelope, _receipt) = settling.settled(receipt)?.into_reply();
    if let Some(paid) = &paid {
        envelope.settlement = app.prover.settlement(&envelope.proof, paid.transaction())?;
    }
    app.prover.keep(&envelope);
    Ok(Reply { result, envelope, paid, of_type })
}

/// A reply that was paid before, to the same call with the same payment.
fn restored(app: &App, stored: &StoredReply, paid: Paid) -> Result<Reply, Refusal> {
    let (result, mut envelope, of_type) = stored.read().ok_or(Refusal::Internal { part: "journal" })?;
    envelope.settlement = app.prover.settlement(&envelope.proof, paid.transaction())?;
    app.prover.keep(&envelope);
    Ok(Reply { result, envelope, paid: Some(paid), of_type })
}

/// What a payment for this call pays for. `None`: the call costs nothing.
fn purchase(app: &App, permitted: &Permitted, scope: Option<&Scope>) -> Result<Option<Purchase>, Refusal> {
    let (call, price) = (permitted.call(), permitted.price());
    if price.is_zero() {
        return Ok(None);
    }
    let server = app.catalogue.by_id(&call.server).ok_or(Refusal::Internal { part: "catalogue" })?;
    Ok(Some(app.till.call(server, call, permitted.principal(), scope, price, app.runner.call_timeout())))
}

impl App {
    /// The tools of the server that a call names, where its caller's own container has others than at install.
    pub(crate) async fn live_tools(&self, server: &Server, scope: Option<&Scope>, tool: &str) -> Option<Arc<[Value]>> {
        let server_id = || server.entry.id.clone();
        let key = scope.map(|scope| sandbox::PoolKey { server: server_id(), principal: scope.key() });
        self.runner.live_tools(server, key.as_ref(), tool).await
    }

    /// Names of the secrets that a caller has stored for a server.
    pub(crate) async fn secret_names(
        &self,
        principal: &Principal,
        server: &evidence::ServerId,
    ) -> Result<Vec<String>, Refusal> {
        match principal.wallet() {
            None => Ok(Vec::new()),
            Some(wallet) => self.vault.names(wallet, server).await.map_err(|error| error.refusal()),
        }
    }

    /// The secrets themselves, for the server's environment alone.
    pub(crate) async fn secrets(
        &self,
        principal: &Principal,
        server: &evidence::ServerId,
    ) -> Result<Vec<sandbox::Variable>, Refusal> {
        let Some(wallet) = principal.wallet() else { return Ok(Vec::new()) };
        let stored = self.vault.environment(wallet, server).await.map_err(|error| error.refusal())?;
        Ok(stored.into_iter().map(|(name, value)| sandbox::secret(name, value)).collect())
    }
}
