//! Taking credentials back.

use evidence::{UnixSeconds, Wallet};
use gate::keep::{Pseudonyms, StoreError, Tokens};

use crate::{wallet_pseudonym, wallet_token::WalletToken};

/// Revokes one wallet token, in all its spellings, until its own end.
///
/// # Errors
/// [`StoreError`]; then it is not revoked.
pub async fn revoke_token(
    token: &WalletToken,
    tokens: &impl Tokens,
    pseudonyms: &impl Pseudonyms,
    now: UnixSeconds,
) -> Result<(), StoreError> {
    tokens.deny(token.fingerprint(pseudonyms), token.expires(), now).await
}

/// Revokes every wallet token and every session of a wallet, up to this second and with it: the epoch is the next one. A
/// login made in the same second is void too, and so is a token that was signed before and never shown here.
///
/// # Errors
/// [`StoreError`]; then nothing is revoked.
pub async fn revoke_all(
    wallet: Wallet,
    tokens: &impl Tokens,
    pseudonyms: &impl Pseudonyms,
    now: UnixSeconds,
) -> Result<(), StoreError> {
    tokens.raise_epoch(wallet_pseudonym(pseudonyms, wallet), UnixSeconds(now.0.saturating_add(1))).await
}
