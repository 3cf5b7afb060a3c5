//! The chain of states of one boot: what may change while the gateway runs (docs/WIRE.md, P4).

use std::{fmt, sync::Arc};

use evidence::{
    Digest,
    bundle::CarriedState,
    json::JsonError,
    state::{State, state_digest},
    tag,
};
use platform::keys::ProofKey;

/// Most states of one boot: so many fit into a bundle beside two reports and their certificates.
const MAX_STATES: usize = 400;

/// States 0 to n, each signed. Cheap to clone.
#[derive(Clone)]
pub(crate) struct StateChain {
    carried: Arc<Vec<CarriedState>>,
    newest: Arc<State>,
    first: Digest,
    head: Digest,
}

/// Why there is no next state.
#[derive(Debug)]
pub(crate) enum ChainFault {
    /// So many states are all that one boot has.
    Full {
        /// How many.
        limit: usize,
    },
    /// It does not fit its profile.
    Unfit(JsonError),
}

impl StateChain {
    /// The chain of state 0.
    ///
    /// # Errors
    /// The state does not fit its profile.
    pub(crate) fn begin(state: State, key: &ProofKey) -> Result<Self, JsonError> {
        let (carried, head) = signed(&state, key)?;
        Ok(Self { carried: Arc::new(vec![carried]), newest: Arc::new(state), first: head, head })
    }

    /// S_0.
    pub(crate) fn first_head(&self) -> Digest {
        self.first
    }

    /// S_n.
    pub(crate) fn head(&self) -> Digest {
        self.head
    }

    /// n.
    pub(crate) fn seq(&self) -> u64 {
        self.newest.seq
    }

    /// As bundles carry them.
    pub(crate) fn into_carried(self) -> Vec<CarriedState> {
        Arc::unwrap_or_clone(self.carried)
    }

    /// The next state, with this catalogue and these prices; none if the newest names them already. Its digest.
    ///
    /// # Errors
    /// [`ChainFault`]; the chain is as it was.
    pub(crate) fn advance(
        &mut self,
        catalogue: Digest,
        prices: Option<Digest>,
        key: &ProofKey,
    ) -> Result<Digest, ChainFault> {
        if self.newest.catalogue == Some(catalogue) && self.newest.prices == prices {
            return Ok(self.head);
        }
        if self.carried.len() >= MAX_STATES {
            return Err(ChainFault::Full { limit: MAX_STATES });
        }
        let newest = &*self.newest;
        let next = State { seq: newest.seq + 1, prev: self.head, catalogue: Some(catalogue), prices, ..newest.clone() };
        let (carried, head) = signed(&next, key).map_err(ChainFault::Unfit)?;
        Arc::make_mut(&mut self.carried).push(carried);
        (self.newest, self.head) = (Arc::new(next), head);
        Ok(head)
    }
}

fn signed(state: &State, key: &ProofKey) -> Result<(CarriedState, Digest), JsonError> {
    let bytes = state.to_bytes()?;
    let signature = key.sign(tag::STATE, &[&state.core, &bytes]);
    let digest = state_digest(&state.core, &bytes);
    Ok((CarriedState { bytes, signature }, digest))
}

impl ChainFault {
    /// How to fix it.
    pub(crate) fn fix(&self) -> &'static str {
        match self {
            Self::Full { .. } => "restart the gateway: a new boot begins a new chain",
            Self::Unfit(_) => "rename the server, or leave it out",
        }
    }
}

impl fmt::Display for ChainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { limit } => write!(f, "this boot has had {limit} states, which is all that a bundle carries"),
            Self::Unfit(error) => write!(f, "the next state does not fit its profile: {error}"),
        }
    }
}

impl std::error::Error for ChainFault {}

#[cfg(test)]
mod tests {
    use platform::keys::BootKeys;

    use super::*;

    fn state() -> State {
        State {
            core: [1; 32],
            seq: 0,
            prev: [1; 32],
            tls: Vec::new(),
            jwks: None,
            receipt: None,
            fee_payer: None,
            pay_to: Vec::new(),
            prices: None,
            policy: None,
            catalogue: Some([2; 32]),
        }
    }

    #[test]
    fn each_state_names_the_one_before_and_what_changes_nothing_is_no_state() {
        let key = BootKeys::make().unwrap().proof;
        let mut chain = StateChain::begin(state(), &key).unwrap();
        let first = chain.head();
        assert_eq!(chain.advance([2; 32], None, &key).unwrap(), first, "the same catalogue and prices");
        let second = chain.advance([3; 32], None, &key).unwrap();
        let third = chain.advance([3; 32], Some([4; 32]), &key).unwrap();
        assert_eq!((chain.seq(), chain.first_head(), chain.head()), (2, first, third));
        let read: Vec<State> =
            chain.into_carried().iter().map(|carried| State::from_bytes(&carried.bytes).unwrap()).collect();
        assert_eq!(read.iter().map(|state| state.prev).collect::<Vec<_>>(), [[1; 32], first, second]);
        assert_eq!(read.iter().map(|state| state.seq).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn a_chain_ends_where_no_bundle_would_carry_it() {
        let key = BootKeys::make().unwrap().proof;
        let mut chain = StateChain::begin(state(), &key).unwrap();
        for n in 1..MAX_STATES {
            let mut digest = [9; 32];
            digest[..8].copy_from_slice(&(n as u64).to_be_bytes());
            chain.advance(digest, None, &key).unwrap();
        }
        let head = chain.head();
        assert!(matches!(chain.advance([7; 32], None, &key), Err(ChainFault::Full { limit: MAX_STATES })));
        assert_eq!(chain.head(), head);
    }
}
