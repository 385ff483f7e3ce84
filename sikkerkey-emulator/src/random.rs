//! Randomness from the operating system, in the forms that the service uses.

/// Random bytes. Panics if the operating system has no randomness: nothing could go on.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// Twice as many lowercase hex digits as bytes.
pub(crate) fn hex<const N: usize>() -> String {
    hex_of(&bytes::<N>())
}

/// These bytes in lowercase hex digits.
pub(crate) fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A random UUID (version 4), the form of a machine's id.
pub(crate) fn uuid() -> String {
    let mut b = bytes::<16>();
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let hex = hex_of(&b);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
