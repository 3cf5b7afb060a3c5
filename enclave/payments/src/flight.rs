//! What is going on in this process: one holder for each authorization at a time.

use evidence::{UsdcAmount, payment::Authorization};
use gate::Reservation;

/// Money that is set aside for one call. Hand it to `settle` or `release`; if it is dropped instead, the next
/// reservation or recovery releases it.
#[derive(Debug)]
pub struct Hold {
    pub(crate) authorization: Authorization,
}

impl Reservation for Hold {
    fn amount(&self) -> UsdcAmount {
        self.authorization.value
    }

    fn authorization(&self) -> Option<&Authorization> {
        Some(&self.authorization)
    }
}
