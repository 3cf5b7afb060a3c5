//! What a node's error says of a transaction that was handed in. The words are those of geth, reth, Nethermind, Erigon,
//! Besu and anvil; there is no standard for them beyond the codes of EIP-1474.

use alloy_json_rpc::ErrorPayload;

/// Transaction rejected (EIP-1474), and what Nethermind says instead.
const REJECTED: [i64; 2] = [-32003, -32010];
/// Invalid parameters: it is no transaction.
const NO_TRANSACTION: i64 = -32602;
/// Anything a server cares to report: the words decide.
const SERVER_ERROR: i64 = -32000;

const HAD_ALREADY: [&str; 5] =
    ["already known", "already imported", "alreadyknown", "already_exists", "transaction already in pool"];

/// All of these come before the transaction enters a node's pool.
const REFUSED: [&str; 16] = [
    "nonce too low",
    "nonce too high",
    "insufficient funds",
    "underpriced",
    "intrinsic gas",
    "gas limit",
    "fee cap",
    "less than block base fee",
    "invalid sender",
    "invalid chain id",
    "chain id",
    "not supported",
    "rlp:",
    "txpool is full",
    "oversized data",
    "too short",
];

/// What an error answers to a transaction that was handed in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// The node has it already.
    Had,
    /// Its nonce is taken: by another transaction, or by this very one in a block.
    NonceTaken,
    /// The node does not want it, and does not keep it.
    Refused,
    /// Nothing: it may be in the node's pool or not.
    Unknown,
}

/// Anything that is not known to be a refusal is none: the transaction may be on its way.
pub(crate) fn verdict<D>(error: &ErrorPayload<D>) -> Verdict {
    let words = error.message.to_lowercase();
    // Besu's sentence is also part of "unknown transaction type".
    if words == "known transaction" || HAD_ALREADY.iter().any(|known| words.contains(known)) {
        Verdict::Had
    } else if words.contains("nonce too low") {
        Verdict::NonceTaken
    } else if error.code == NO_TRANSACTION
        || REJECTED.contains(&error.code)
        || (error.code == SERVER_ERROR && REFUSED.iter().any(|known| words.contains(known)))
    {
        Verdict::Refused
    } else {
        Verdict::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_say_of_a_transaction_is_understood() {
        for (code, words, wanted) in [
            (-32000, "already known", Verdict::Had),
            (-32003, "transaction already imported", Verdict::Had),
            (-32010, "AlreadyKnown", Verdict::Had),
            (-32000, "ALREADY_EXISTS: already known", Verdict::Had),
            (-32000, "Known transaction", Verdict::Had),
            (-32000, "nonce too low: next nonce 3, tx nonce 2", Verdict::NonceTaken),
            (-32003, "nonce too low", Verdict::NonceTaken),
            (-32000, "insufficient funds for gas * price + value: balance 0, tx cost 1", Verdict::Refused),
            (-32000, "replacement transaction underpriced", Verdict::Refused),
            (-32000, "transaction type not supported", Verdict::Refused),
            (-32003, "some new reason", Verdict::Refused),
            (-32602, "Failed to decode transaction", Verdict::Refused),
            // A limit of the provider, a fault of the node, a gap in its words: none of them says where it is.
            (429, "insufficient funds", Verdict::Unknown),
            (-32005, "daily request count exceeded, request rate limited", Verdict::Unknown),
            (-32000, "context deadline exceeded", Verdict::Unknown),
            (-32000, "unknown transaction kind", Verdict::Unknown),
            (-32603, "Internal error", Verdict::Unknown),
            (0, "", Verdict::Unknown),
        ] {
            let error = ErrorPayload::<()> { code, message: words.into(), data: None };
            assert_eq!(verdict(&error), wanted, "{code} {words}");
        }
    }
}
