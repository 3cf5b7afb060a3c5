//! The one wrapper of key material.

use std::fmt;

use zeroize::Zeroize;

/// Key material: prints as `Secret(..)`, cannot be cloned, compared or serialized, zeroized on drop.
///
/// ```compile_fail
/// let secret = platform::Secret::new([1u8; 32]);
/// let copy = secret.clone();
/// ```
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes `value` in. The caller's other copies stay the caller's duty.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Searching for `expose` lists every place that sees a secret.
    pub fn expose<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0)
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new([7u8; 4])), "Secret(..)");
    }
}
