//! Where calls are paid: the one place where the gateway talks to `payments`.

use std::{sync::Arc, time::Duration};

use evidence::{
    ResultObject, UsdcAmount, canon, hash,
    json::{Limits, Value, object, parse},
    payment::Authorization,
    proof::Envelope,
    tag,
};
use gate::{Call, PaymentProblem, Principal, Receipt, Refusal, Reservation};
use payments::{Dialect, Exact, Hold, Offer, PaymentRefusal, Reason, Reserved, SettleError, SettledPayment};

pub(crate) use payments::Payment;

use crate::{boot, catalogue::Server, enablement::Scope, http::Presented};

/// x402 `exact`, over what this gateway is made of.
pub(crate) type Rail = Exact<store::Store, chain::Nodes>;

/// How long the reply of a paid call is kept for callers whom we would know again.
const KEEP_FOR_KNOWN: Duration = Duration::from_secs(24 * 3600);

/// The same for strangers: once settled, their payment can be read on the chain by everybody, and whoever guesses the call
/// could ask for its reply. Long enough for a client that tries again, too short for somebody who watches the chain.
const KEEP_FOR_STRANGERS: Duration = Duration::from_secs(60);

/// How long one judgement of `/api/verify` may take.
const VERIFY_DEADLINE: Duration = Duration::from_secs(10);

/// When to ask again for a settlement that is not seen yet, and for a chain that does not answer.
const RETRY_AFTER_S: u32 = 5;

/// Takes money, if calls cost something.
pub(crate) struct Till {
    rail: Option<Arc<Rail>>,
    /// How callers reach the gateway, without a slash at the end.
    base: String,
}

/// What is bought.
#[derive(Clone, Debug)]
pub(crate) struct Purchase(payments::Purchase);

/// What is set aside.
#[derive(Debug)]
pub(crate) enum Held {
    /// Nothing: it costs nothing.
    Nothing(gate::Free),
    /// An authorization.
    Exact(Box<Hold>, Dialect),
}

/// What comes of trying to pay.
pub(crate) enum Taken {
    /// It is set aside; the call may run.
    Held(Held),
    /// This payment has paid for this very call before: its reply.
    Answered(StoredReply, Box<Paid>),
}

/// What was paid.
#[derive(Clone, Debug)]
pub(crate) struct Paid {
    settled: SettledPayment,
    dialect: Dialect,
}

/// A reply as the journal keeps it: `{"result":…,"envelope":…}`, and `"type"` where the result has one of its own. It holds
/// what opens the proof, so it is for its buyer alone.
pub(crate) struct StoredReply(Vec<u8>);

impl Reservation for Held {
    fn amount(&self) -> UsdcAmount {
        match self {
            Self::Nothing(free) => free.amount(),
            Self::Exact(hold, _) => hold.amount(),
        }
    }

    fn authorization(&self) -> Option<&Authorization> {
        match self {
            Self::Nothing(free) => free.authorization(),
            Self::Exact(hold, _) => hold.authorization(),
        }
    }
}

impl Paid {
    fn new(settled: SettledPayment, dialect: Dialect) -> Self {
        Self { settled, dialect }
    }

    /// Hash of the transaction.
    pub(crate) fn transaction(&self) -> [u8; 32] {
        self.settled.transaction
    }

    /// Base units.
    pub(crate) fn amount(&self) -> UsdcAmount {
        self.settled.authorization.value
    }

    /// For `gate`.
    pub(crate) fn receipt(&self) -> Receipt {
        Receipt::Settled { amount: self.amount(), transaction: self.transaction() }
    }

    /// x402's SettlementResponse, as `PAYMENT-RESPONSE` and `_meta["x402/payment-response"]` carry it.
    pub(crate) fn response(&self) -> Value {
        payments::settlement_response(self.dialect, &self.settled)
    }

    /// The member `payment` of a REST answer, as this ecosystem's clients read it.
    pub(crate) fn summary(&self) -> Value {
        object([
            ("verified", true.into()),
            ("settled", true.into()),
            ("amount", self.amount().units().to_string().into()),
            ("txHash", format!("0x{}", hex::encode(self.transaction())).into()),
        ])
    }
}

impl StoredReply {
    /// Of a call. `of_type`: the type of its result where that is another than `complete`.
    pub(crate) fn of(result: &ResultObject, envelope: &Envelope, of_type: Option<&str>) -> Self {
        let mut reply = vec![("result".into(), result.value().clone()), ("envelope".into(), envelope.to_value())];
        reply.extend(of_type.map(|of_type| ("type".into(), of_type.into())));
        Self(Value::Object(reply).to_text().into_bytes())
    }

    /// Of anything else.
    pub(crate) fn of_value(value: &Value) -> Self {
        Self(value.to_text().into_bytes())
    }

    /// The value it was made of.
    pub(crate) fn value(&self) -> Option<Value> {
        let limits = Limits { bytes: self.0.len(), depth: Limits::THEIRS.depth + 2, ..Limits::THEIRS };
        parse(&self.0, &limits).ok()
    }

    /// The call's result, its envelope, and the type of the result.
    pub(crate) fn read(&self) -> Option<(ResultObject, Envelope, Option<String>)> {
        let value = self.value()?;
        let result = ResultObject::of(value.member("result")?.clone()).ok()?;
        let of_type = value.member("type").and_then(Value::as_str).map(str::to_owned);
        Some((result, Envelope::from_value(value.member("envelope")?).ok()?, of_type))
    }
}

impl Till {
    /// With a rail where calls cost something.
    pub(crate) fn new(rail: Option<Arc<Rail>>, base: String) -> Self {
        Self { rail, base }
    }

    /// The rail, where calls cost something.
    pub(crate) fn rail(&self) -> Option<&Arc<Rail>> {
        self.rail.as_ref()
    }

    /// A call of a tool. One authorization pays for one call: this server, tool, arguments, caller and session.
    pub(crate) fn call(
        &self,
        server: &Server,
        call: &Call,
        principal: &Principal,
        scope: Option<&Scope>,
        price: UsdcAmount,
        deadline: Duration,
    ) -> Purchase {
        let (id, tool) = (server.entry.id.as_str(), call.tool.as_str());
        let name = principal.name();
        let arguments = canon(&call.arguments);
        let session = scope.map(Scope::part).unwrap_or_default();
        let challenge = call.challenge.as_ref().map(|challenge| hex::encode(challenge.as_bytes())).unwrap_or_default();
        let parts = [id, tool, &arguments, name.as_deref().unwrap_or_default(), &session, &challenge];
        Purchase(payments::Purchase {
            resource: format!("{}/api/servers/{id}/tools/{}", self.base, encoded(tool)),
            also: vec![
                format!("mcp://tool/{tool}"),
                format!("mcp://tool/{}__{tool}", server.prefix()),
                format!("{}/mcp", self.base),
                format!("{}/mcp/server/{id}", self.base),
            ],
            description: format!("{tool} of {}", server.entry.name),
            fingerprint: hash(tag::PURCHASE, &parts.map(str::as_bytes)),
            price,
            deadline,
            // A challenge never goes to the chain, so whoever repeats it is whoever called.
            keep_for: if scope.is_some() || call.challenge.is_some() { KEEP_FOR_KNOWN } else { KEEP_FOR_STRANGERS },
        })
    }

    /// A judgement of `POST /api/verify` over this body.
    pub(crate) fn verification(&self, body: &[u8], principal: &Principal, price: UsdcAmount) -> Purchase {
        use sha2::Digest as _;
        let name = principal.name();
        let digest: [u8; 32] = sha2::Sha256::digest(body).into();
        let parts: [&[u8]; 6] = [b"verify", b"", &digest, name.as_deref().unwrap_or_default().as_bytes(), b"", b""];
        Purchase(payments::Purchase {
            resource: format!("{}/api/verify", self.base),
            also: Vec::new(),
            description: "a signed verdict on a proof; attestation-verifier judges the same offline, for nothing"
                .to_owned(),
            fingerprint: hash(tag::PURCHASE, &parts),
            price,
            deadline: VERIFY_DEADLINE,
            keep_for: if name.is_some() { KEEP_FOR_KNOWN } else { KEEP_FOR_STRANGERS },
        })
    }

    /// Sets the price aside. Without a purchase, or where it costs nothing, what is presented is not looked at.
    ///
    /// # Errors
    /// [`Refusal`]: nothing is set aside then.
    pub(crate) async fn reserve(&self, purchase: Option<&Purchase>, presented: Presented) -> Result<Taken, Refusal> {
        let Some(purchase) = purchase.filter(|purchase| !purchase.0.price.is_zero()) else {
            return Ok(Taken::Held(Held::Nothing(gate::Free)));
        };
        let rail = self.rail.as_ref().ok_or(Refusal::Internal { part: "payments" })?;
        let Some(presented) = presented else {
            let dollars = purchase.0.price;
            return Err(purchase.problem(
                Reason::PaymentRequired,
                format!("this costs ${dollars}"),
                "sign one entry of accepts (x402) and call again with it in PAYMENT-SIGNATURE, X-PAYMENT or \
                 _meta[\"x402/payment\"]",
            ));
        };
        let payment = presented.map_err(|error| purchase.problem(error.reason(), error.to_string(), error.fix()))?;
        let now = boot::now().map_err(|_| Refusal::Internal { part: "clock" })?;
        match rail.reserve(&purchase.0, &payment, now).await {
            Ok(Reserved::Fresh(hold)) => Ok(Taken::Held(Held::Exact(hold, payment.dialect))),
            Ok(Reserved::Answered(reply)) => {
                let paid = Paid::new(reply.settlement.clone(), payment.dialect);
                Ok(Taken::Answered(StoredReply(reply.bytes), Box::new(paid)))
            }
            Err(refusal) => Err(refused(purchase, &refusal)),
        }
    }

    /// Nothing is taken. What cannot be written now is released by the next recovery.
    pub(crate) async fn release(&self, held: Held) {
        if let (Held::Exact(hold, _), Some(rail)) = (held, &self.rail)
            && let Err(error) = rail.release(*hold).await
        {
            tracing::error!(%error, "a reservation could not be released; recovery will do it");
        }
    }

    /// Keeps the reply and takes the money.
    ///
    /// # Errors
    /// [`Refusal`]: the reply must not leave.
    pub(crate) async fn settle(&self, purchase: &Purchase, held: Held, reply: StoredReply) -> Result<Paid, Refusal> {
        let (Held::Exact(hold, dialect), Some(rail)) = (held, &self.rail) else {
            return Err(Refusal::Internal { part: "payments" });
        };
        match rail.settle(*hold, reply.0).await {
            Ok(settled) => Ok(Paid::new(settled, dialect)),
            Err(SettleError::Pending { transaction }) => {
                Err(Refusal::SettlementPending { transaction, retry_after_s: RETRY_AFTER_S })
            }
            Err(error) => {
                let mut refusal = purchase.problem(error.reason(), error.to_string(), error.fix());
                if let Refusal::Payment(problem) = &mut refusal {
                    problem.withheld = true;
                }
                Err(refusal)
            }
        }
    }

    /// What is asked for, in the words of x402. `None` where nothing costs anything.
    pub(crate) fn offer(&self, problem: &PaymentProblem) -> Option<Offer> {
        let rail = self.rail.as_ref()?;
        Some(rail.offer(&payments::Purchase {
            resource: problem.resource.clone(),
            also: Vec::new(),
            description: problem.description.clone(),
            fingerprint: [0; 32],
            price: problem.price,
            deadline: Duration::from_secs(problem.deadline_s),
            keep_for: Duration::ZERO,
        }))
    }
}

impl Purchase {
    fn problem(&self, reason: Reason, what: String, fix: &str) -> Refusal {
        Refusal::Payment(Box::new(PaymentProblem {
            reason: reason.as_str(),
            what,
            fix: fix.to_owned(),
            price: self.0.price,
            resource: self.0.resource.clone(),
            description: self.0.description.clone(),
            deadline_s: self.0.deadline.as_secs(),
            withheld: false,
        }))
    }
}

fn refused(purchase: &Purchase, refusal: &PaymentRefusal) -> Refusal {
    match refusal {
        PaymentRefusal::NotPaid { reason, what, fix } => purchase.problem(*reason, what.clone(), fix),
        PaymentRefusal::Pending { transaction } => {
            Refusal::SettlementPending { transaction: *transaction, retry_after_s: RETRY_AFTER_S }
        }
        PaymentRefusal::ChainUnreachable(error) => {
            tracing::warn!(%error, "the chain gave no answer");
            Refusal::ChainUnreachable { retry_after_s: RETRY_AFTER_S }
        }
        PaymentRefusal::StoreUnavailable(error) => {
            tracing::error!(%error, "the journal gave no answer");
            Refusal::Unavailable { part: "journal", retry_after_s: RETRY_AFTER_S }
        }
        other => {
            tracing::error!(error = %other, "payments cannot be settled");
            Refusal::Unavailable { part: "settlement", retry_after_s: RETRY_AFTER_S }
        }
    }
}

/// A tool's name as one segment of a path (RFC 3986, section 2.1).
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
