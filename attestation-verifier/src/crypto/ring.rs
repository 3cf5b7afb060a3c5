//! [`Crypto`] by `ring`: the native back end.

super::back_end::back_end!(Ring, ring);

/// [`Crypto`] by `ring`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ring;
