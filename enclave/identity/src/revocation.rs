//! Taking credentials back.

use evidence::{UnixSeconds, Wallet};
use gate::keep::{Pseudonyms, StoreError, Tokens};

use crate::{wallet_pseudonym, wallet_token::WalletToken};

/// Revokes one wallet token, in all its spellings, for good.
///
/// # Errors
/// [`StoreError`]; then it is not revoked.
pub async fn revoke_token(
    token: &WalletToken,
    tokens: &impl Tokens,
    pseudonyms: &impl Pseudonyms,
    now: UnixSeconds,
) -> Result<(), StoreError> {
    tokens.deny(token.fingerprint(pseudonyms), now).await
}

/// Revokes every wallet token of a wallet that was used here, and every session, up to this second and with it: the
/// epoch is the next one. A login made in the same second is void too.
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
