//! How much a run of the tests does, and from which seed.

/// Whether `CERTUS_LONG=1` asks for ten times as many cases.
pub fn long() -> bool {
    std::env::var("CERTUS_LONG").is_ok_and(|v| v == "1")
}

/// The seed of a test: `CERTUS_SEED` if set, else `default`, another one for long runs. Printed.
///
/// # Panics
/// If `CERTUS_SEED` is not a number.
pub fn seed(default: u64) -> u64 {
    let chosen = match std::env::var("CERTUS_SEED") {
        Ok(text) => text.parse().expect("CERTUS_SEED is a number"),
        Err(_) if long() => default + 1_000_003,
        Err(_) => default,
    };
    println!("seed {chosen}");
    chosen
}

/// `n` cases, or ten times as many.
pub fn many(n: usize) -> usize {
    if long() { 10 * n } else { n }
}
