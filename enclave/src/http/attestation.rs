//! `/api/attestation*` and `/health`: evidence, and what the gateway says about itself, read from its running state.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use evidence::{
    json::{Value, object},
    profile::{to_base64, to_hex},
    proof::RegistryDigest,
    report_data::Nonce,
};

use super::{
    json,
    openapi::shapes,
    problem::Problem,
    query::{NoQuery, Query},
};
use crate::{
    app::App,
    desk::{Answer, DeskError},
    served_script,
};

/// `GET /api/attestation`: what the gateway says about itself, and where to find what proves it.
#[utoipa::path(get, path = "/api/attestation", tag = "Evidence", summary = "What the gateway says of itself",
    responses((status = 200, description = "As asked", body = shapes::AttestationSummary)))]
pub(crate) async fn summary(State(app): State<Arc<App>>, _: NoQuery) -> Response {
    let attested = app.desk.attested();
    let hash = app.build.code_hash.as_ref().map_or(Value::Null, |hash| to_hex(hash));
    json(
        StatusCode::OK,
        &object([
            ("teeEnabled", app.tee_enabled.into()),
            ("platform", app.config.platform.as_str().into()),
            ("codeHash", hash),
            ("publishedHash", Value::Null),
            // A gateway cannot vouch for itself: verifiers look codeHash up in a manifest, with keys that they brought.
            ("verified", false.into()),
            ("gitCommit", app.build.git_commit.as_ref().map_or(Value::Null, |commit| to_hex(commit))),
            ("instance", to_hex(&app.prover.instance)),
            ("core", to_hex(&attested.core)),
            ("stateHead", to_hex(&app.state)),
            ("proofKey", to_hex(&attested.proof_key.public())),
            ("epoch", u64::from(app.prover.epoch).into()),
            ("selfCheck", app.self_check.clone()),
            (
                "note",
                "codeHash, platform and teeEnabled are what the gateway says about itself; verify /api/attestation/bundle \
                 with attestation-verifier to learn what the evidence proves"
                    .into(),
            ),
            ("security", security_of(&app)),
        ]),
    )
}

/// `GET /api/attestation/security`
#[utoipa::path(get, path = "/api/attestation/security", tag = "Evidence", summary = "Where keys come from, how servers are locked in",
    responses((status = 200, description = "As asked", body = shapes::SecurityProperties)))]
pub(crate) async fn security(State(app): State<Arc<App>>, _: NoQuery) -> Response {
    json(StatusCode::OK, &security_of(&app))
}

fn security_of(app: &App) -> Value {
    let pcrs = app.config.tpm_pcrs.iter().map(|pcr| u64::from(*pcr).into()).collect();
    object([
        (
            "keySources",
            object([
                ("hmacSeed", "tpm-sealed".into()),
                ("proofKey", "made at boot, memory only".into()),
                ("vaultEncryptionKey", app.vault_key_source.into()),
                ("jwtSecret", "none: sessions are signed by a tpm-sealed ES256 key".into()),
                ("feePayer", "tpm-sealed".into()),
                ("tls", app.tls_spki.as_ref().map_or(Value::Null, |_| "tpm-sealed".into())),
            ]),
        ),
        (
            "tpm",
            object([
                ("kind", app.vtpm_kind.into()),
                ("manufacturer", app.tpm_manufacturer.as_str().into()),
                ("sealedUnderPcrs", Value::Array(pcrs)),
                ("quotes", app.quotes.into()),
            ]),
        ),
        ("sandbox", app.runner.posture()),
        (
            "listener",
            object([
                ("address", app.listening.to_string().into()),
                ("loopbackOnly", app.listening.ip().is_loopback().into()),
                ("tls", app.tls_spki.is_some().into()),
                ("spkiSha256", app.tls_spki.as_ref().map_or(Value::Null, |spki| to_hex(spki))),
            ]),
        ),
        (
            "identities",
            object([
                ("anonymous", true.into()),
                ("wallets", true.into()),
                ("operatorsThatMustSign", (app.operators.signers() as u64).into()),
            ]),
        ),
        ("vault", object([("persistent", app.config.vault.directory.is_some().into())])),
        ("witness", "none".into()),
        ("log", Value::Null),
        ("notProven", app.not_proven.clone()),
    ])
}

/// `GET /api/attestation/report?nonce=HEX`: the raw report and its certificates.
#[utoipa::path(get, path = "/api/attestation/report", tag = "Evidence", summary = "The raw report and its certificates",
    params(("nonce" = Option<String>, Query, description = "32 bytes, hexadecimal: the report is then a fresh one", example = json!("00ff"))),
    responses((status = 200, description = "As asked", body = shapes::AttestationReport)))]
pub(crate) async fn report(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    query: Query,
    headers: HeaderMap,
) -> Response {
    let fresh = match fresh(&app, &query, peer).await {
        Ok(fresh) => fresh,
        Err(problem) => return problem.into_response(),
    };
    let attested = app.desk.attested();
    let evidence = match &fresh {
        None => &attested.boot,
        Some(Answer { report: Some(report), .. }) => report,
        // A report takes seconds here, so nonces are answered by the vTPM.
        Some(Answer { report: None, .. }) => {
            return Problem::new(
                StatusCode::BAD_REQUEST,
                "NONCE_IN_QUOTE",
                "on this platform a quote answers a nonce, not a report".to_owned(),
                "ask /api/attestation/bundle with the nonce: its member fresh.quote answers it",
            )
            .into_response();
        }
    };
    let wants_bytes = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("application/octet-stream"));
    if wants_bytes {
        let kind = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
        return (StatusCode::OK, kind, evidence.report.clone()).into_response();
    }
    let vek = match evidence.vek_kind {
        platform::VekKind::Vcek => "vcek",
        platform::VekKind::Vlek => "vlek",
    };
    json(
        StatusCode::OK,
        &object([
            ("report", to_base64(&evidence.report)),
            (
                "certificates",
                object([
                    (vek, evidence.vek.pem().into()),
                    ("ask", evidence.intermediate.pem().into()),
                    ("ark", evidence.root.pem().into()),
                ]),
            ),
            ("platform", app.config.platform.as_str().into()),
            ("answersNonce", fresh.is_some().into()),
        ]),
    )
}

/// `GET /api/attestation/bundle?nonce=HEX`: everything offline verification needs, with a script that does it.
#[utoipa::path(get, path = "/api/attestation/bundle", tag = "Evidence", summary = "Everything that offline verification needs",
    params(("nonce" = Option<String>, Query, description = "32 bytes, hexadecimal: the bundle then answers it", example = json!("00ff"))),
    responses((status = 200, description = "As asked", body = shapes::AttestationBundle)))]
pub(crate) async fn bundle(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    query: Query,
) -> Response {
    let fresh = match fresh(&app, &query, peer).await {
        Ok(fresh) => fresh,
        Err(problem) => return problem.into_response(),
    };
    let bundle = app.desk.attested().bundle(fresh);
    let bytes = match bundle.to_bytes() {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::error!(%error, "the bundle does not fit the profile");
            return Problem::internal("bundle").into_response();
        }
    };
    let Value::Object(mut members) = bundle.to_value() else {
        return Problem::internal("bundle").into_response();
    };
    members.push((evidence::bundle::SCRIPT_MEMBER.into(), served_script::offline_verification(&bytes)));
    json(StatusCode::OK, &Value::Object(members))
}

/// `GET /api/attestation/build-info`
#[utoipa::path(get, path = "/api/attestation/build-info", tag = "Evidence", summary = "What the executable was built from",
    responses((status = 200, description = "As asked", body = shapes::BuildInfo)))]
pub(crate) async fn build_info(State(app): State<Arc<App>>, _: NoQuery) -> Response {
    json(StatusCode::OK, &build_of(&app))
}

fn build_of(app: &App) -> Value {
    let build = &app.build;
    let time = build.build_time.and_then(|seconds| i64::try_from(seconds).ok());
    let time = time.and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    let time = time.and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok());
    object([
        ("codeHash", build.code_hash.as_ref().map_or(Value::Null, |hash| to_hex(hash))),
        ("gitCommit", build.git_commit.as_ref().map_or(Value::Null, |commit| to_hex(commit))),
        ("sourceHash", build.source_hash.as_ref().map_or(Value::Null, |hash| to_hex(hash))),
        ("buildTime", time.map_or(Value::Null, Value::from)),
        ("dirty", build.dirty.map_or(Value::Null, Value::from)),
        ("version", env!("CARGO_PKG_VERSION").into()),
    ])
}

/// `GET /api/attestation/provenance`: what was built from what, and whether a release key vouches for it.
#[utoipa::path(get, path = "/api/attestation/provenance", tag = "Evidence", summary = "Who vouches for the executable",
    responses((status = 200, description = "As asked", body = shapes::Provenance)))]
pub(crate) async fn provenance(State(app): State<Arc<App>>, _: NoQuery) -> Response {
    let hex = |bytes: Option<&[u8]>| bytes.map_or(Value::Null, to_hex);
    let packages = app.catalogue.servers().iter().filter_map(|server| {
        let digests = server.ready.as_ref().ok()?.digests;
        let algorithm = match digests.registry {
            Some(RegistryDigest::Sha256(_)) => "registrySha256",
            Some(RegistryDigest::Sha512(_)) | None => "registrySha512",
        };
        Some(object([
            ("name", server.package_at_version().into()),
            (
                "digest",
                object([
                    (algorithm, hex(digests.registry.as_ref().map(RegistryDigest::as_bytes))),
                    ("lockSha256", hex(digests.lock.as_ref().map(|d| &d[..]))),
                    ("imageSha256", to_hex(&digests.image)),
                ]),
            ),
        ]))
    });
    json(StatusCode::OK, &app.build.provenance.to_value(Value::Array(packages.collect())))
}

/// `GET /api/attestation/encryption-model`: how secrets of callers are encrypted, and who has the keys.
#[utoipa::path(get, path = "/api/attestation/encryption-model", tag = "Evidence", summary = "How callers' secrets are encrypted",
    responses((status = 200, description = "As asked", body = shapes::EncryptionModel)))]
pub(crate) async fn encryption_model(State(app): State<Arc<App>>, _: NoQuery) -> Response {
    let vault = object([
        ("algorithm", "AES-256-GCM".into()),
        ("keyDerivation", "HKDF-SHA256".into()),
        ("keyScope", "wallet and server".into()),
        ("associatedData", true.into()),
        ("lookup", "HMAC-SHA256".into()),
        ("masterKey", app.vault_key_source.into()),
        ("persistent", app.config.vault.directory.is_some().into()),
    ]);
    let transport = object([
        ("tls", app.tls_spki.is_some().into()),
        ("spkiSha256", app.tls_spki.as_ref().map_or(Value::Null, |spki| to_hex(spki))),
    ]);
    json(
        StatusCode::OK,
        &object([
            ("vault", vault),
            ("transport", transport),
            ("keysLeaveTheGateway", (app.vault_key_source == "env").into()),
            ("valuesAreServed", false.into()),
            ("signToDerive", false.into()),
        ]),
    )
}

/// `GET /api/v1/attestation`: the summary in the words of older clients of this ecosystem.
#[utoipa::path(get, path = "/api/v1/attestation", tag = "Evidence", summary = "The summary in the words of older clients",
    responses((status = 200, description = "As asked", body = shapes::ShortAttestation)))]
pub(crate) async fn short(State(app): State<Arc<App>>, _: NoQuery) -> Response {
    let digest = app.build.code_hash.as_ref().map(|hash| format!("sha256:{}", hex::encode(hash)));
    json(
        StatusCode::OK,
        &object([
            // They take this one word for a verified enclave, so it is never true where no hardware protects anything.
            ("attestation_available", app.tee_enabled.into()),
            ("platform", app.config.platform.as_str().into()),
            ("image_digest", digest.map_or(Value::Null, Value::from)),
            // Secrets are encrypted in memory and on disk alike.
            ("encryption_enabled", true.into()),
        ]),
    )
}

/// `GET /health`
#[utoipa::path(get, path = "/health", tag = "Operation", summary = "Whether the gateway works",
    responses((status = 200, description = "As asked", body = shapes::Health),
        (status = 503, description = "The container engine does not answer", body = shapes::Health)))]
pub(crate) async fn health(State(app): State<Arc<App>>) -> Response {
    let ready = app.catalogue.servers().iter().filter(|server| server.ready.is_ok()).count();
    let all = app.catalogue.servers().len();
    let engine = app.runner.engine_answers().await;
    let mut reasons = Vec::new();
    if !engine {
        reasons.push(Value::from("the container engine does not answer"));
    }
    if ready < all {
        reasons.push(Value::from(format!("{} of {all} servers cannot run", all - ready)));
    }
    let healthy = reasons.is_empty();
    json(
        if engine { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE },
        &object([
            ("status", if healthy { "healthy".into() } else { "degraded".into() }),
            ("servers", object([("ready", (ready as u64).into()), ("total", (all as u64).into())])),
            ("instances", (app.runner.instances() as u64).into()),
            (
                "securityPosture",
                object([
                    ("attestationAvailability", object([("teeEnabled", app.tee_enabled.into())])),
                    ("degraded", (!healthy).into()),
                    ("degradedReasons", Value::Array(reasons)),
                ]),
            ),
        ]),
    )
}

/// The answer to `?nonce=`, if there is one.
async fn fresh(app: &App, query: &Query, peer: SocketAddr) -> Result<Option<Answer>, Problem> {
    query.only(&["nonce"])?;
    let Some(nonce) = query.get("nonce") else { return Ok(None) };
    let nonce = Nonce::from_hex(nonce).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "BAD_NONCE", error.to_string(), "send nonce=$(openssl rand -hex 32)")
    })?;
    let client = (!app.listening.ip().is_loopback()).then(|| peer.ip());
    match app.desk.answer(nonce, client).await {
        Ok(answer) => Ok(Some(answer)),
        Err(DeskError::Busy) => Err(Problem::busy(1)),
        Err(DeskError::Device) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "NO_REPORT",
            "the machine gave no fresh evidence".to_owned(),
            "ask again; without a nonce the report of the boot is served",
        )),
    }
}
