//! The equation of ECDSA on P-384 (FIPS 186-5, section 6.4.2) with field, scalars and points of the crate `p384`.
//!
//! The crate's own verification multiplies in constant time, once for each of the two points. A verification has no
//! secret, so here both are walked together and zero digits are skipped: twice as fast, which is what keeps a report
//! under ten milliseconds in WebAssembly.

use p384::{
    ProjectivePoint, PublicKey, Scalar,
    ecdsa::Signature,
    elliptic_curve::{
        PrimeField as _,
        group::Group as _,
        ops::{Invert as _, Reduce as _},
        point::AffineCoordinates as _,
    },
};

/// Digits of a scalar, from the lowest: zero or odd, −15 to 15, no two that are not zero within five.
type Digits = [i8; BITS];

/// One more than a scalar has, for the last carry.
const BITS: usize = 385;
const WINDOW: usize = 5;

/// Is this a signature over a message of this SHA-384 by this key?
pub(super) fn holds(key: &PublicKey, digest: &[u8], signature: &Signature) -> bool {
    let Ok(digest) = <[u8; 48]>::try_from(digest) else { return false };
    let (r, s) = signature.split_scalars();
    let inverse = *s.invert_vartime();
    let of_generator = Scalar::reduce_bytes(&digest.into()) * inverse;
    let of_key = *r * inverse;
    let point = sum_of_products(&of_generator, &key.to_projective(), &of_key);
    Scalar::reduce_bytes(&point.to_affine().x()) == *r
}

/// a·G + b·P.
fn sum_of_products(a: &Scalar, p: &ProjectivePoint, b: &Scalar) -> ProjectivePoint {
    let terms = [(digits(a), odd_multiples(&ProjectivePoint::GENERATOR)), (digits(b), odd_multiples(p))];
    (0..BITS).rev().fold(ProjectivePoint::IDENTITY, |sum, at| {
        terms.iter().fold(sum.double(), |sum, (digits, multiples)| {
            let digit = digits.get(at).copied().unwrap_or(0);
            match multiples.get(usize::from(digit.unsigned_abs() / 2)) {
                Some(multiple) if digit > 0 => sum + multiple,
                Some(multiple) if digit < 0 => sum - multiple,
                _ => sum,
            }
        })
    })
}

/// P, 3P, …, 15P.
fn odd_multiples(point: &ProjectivePoint) -> [ProjectivePoint; 8] {
    let twice = point.double();
    let mut multiple = *point;
    std::array::from_fn(|at| {
        if at > 0 {
            multiple += twice;
        }
        multiple
    })
}

fn digits(scalar: &Scalar) -> Digits {
    let bytes = scalar.to_repr();
    let bit = |at: usize| -> i8 {
        let byte = bytes.len().checked_sub(1 + at / 8).and_then(|at| bytes.get(at)).copied().unwrap_or(0);
        i8::from(byte >> (at % 8) & 1 == 1)
    };
    let mut digits = [0; BITS];
    let (mut at, mut carry) = (0, 0);
    while at < BITS {
        if bit(at) == carry {
            at += 1;
            continue;
        }
        let width = WINDOW.min(BITS - at);
        let word: i8 = (0..width).map(|offset| bit(at + offset) << offset).sum::<i8>() + carry;
        carry = i8::from(word >= 16);
        if let Some(digit) = digits.get_mut(at) {
            *digit = word - (carry << WINDOW);
        }
        at += width;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(number: u64) -> Scalar {
        Scalar::from(number)
    }

    #[test]
    fn digits_are_odd_apart_and_add_up() {
        let largest = -small(1);
        let scalars = [small(0), small(1), small(15), small(16), small(17), small(31), small(0xFFFF_FFFF), largest];
        for scalar in scalars.into_iter().chain((1..200).map(|n| largest * small(n).invert().unwrap())) {
            let digits = digits(&scalar);
            let mut sum = small(0);
            for digit in digits.iter().rev() {
                let term = small(u64::from(digit.unsigned_abs()));
                sum = sum + sum + if *digit < 0 { -term } else { term };
            }
            assert_eq!(sum, scalar);
            assert!(digits.iter().all(|digit| *digit == 0 || digit % 2 != 0 && digit.unsigned_abs() < 16));
            assert!(digits.windows(WINDOW).all(|five| five.iter().filter(|digit| **digit != 0).count() <= 1));
        }
    }

    #[test]
    fn the_sum_is_the_sum_of_the_crates_own_products() {
        let point = ProjectivePoint::GENERATOR * small(0xABCD_EF01);
        let largest = -small(1);
        for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1), (7, 9), (u64::MAX, 31)] {
            for (a, b) in [(small(a), small(b)), (largest - small(a), small(b)), (small(a), largest - small(b))] {
                assert_eq!(sum_of_products(&a, &point, &b), ProjectivePoint::GENERATOR * a + point * b);
            }
        }
    }
}
