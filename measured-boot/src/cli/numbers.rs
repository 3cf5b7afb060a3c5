//! Numbers as people type them: decimal, or hexadecimal after `0x`.

/// Up to 64 bits.
pub(super) fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // `from_str_radix` takes a sign.
        Some(digits) if !digits.starts_with(['+', '-']) => u64::from_str_radix(digits, 16),
        Some(_) => return Err("want a number, decimal or hexadecimal after 0x".to_owned()),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{error}; want a number, decimal or hexadecimal after 0x"))
}

/// Up to 32 bits.
pub(super) fn number_32(text: &str) -> Result<u32, String> {
    u32::try_from(number(text)?).map_err(|_| "does not fit into 32 bits".to_owned())
}
