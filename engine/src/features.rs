//! What firmware can leave out, by the crate's features: code that is never reached is never linked.

/// Activations beside the identity, the ReLU and the leaky ReLU.
pub(crate) const CURVED: bool = cfg!(feature = "curved");
/// Balls beside those of linf.
pub(crate) const NORMS: bool = cfg!(feature = "norms");
/// The simplex certificate among a monitor's means.
pub(crate) const SIMPLEX: bool = cfg!(feature = "simplex");

#[cfg(test)]
mod tests;
