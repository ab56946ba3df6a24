//! Exact distances in small networks of ReLU and leaky ReLU units.
//!
//! * [`Region::at`]: the affine functions of the linear region of a point; [`Region::facets`] and
//!   [`Region::decisions`] are the distances to their hyperplanes (dB and dD of papers 000 and
//!   001), in a box too ([`Region::within`]).
//! * [`nearest_adversarial`]: the least perturbation that changes the class, over all regions.
//! * [`Distance`]: an exact distance, which compares exactly with floats.
//! * [`Kind`], [`case`], [`cases`]: seeded cases, special ones among them.
//!
//! The weights are those stored; `weight_error` and `bias_error` of a layer are not looked at.
//! The last layer must be linear. Hidden layers that do not bend (identity, slope 1) are passed
//! through and have no facets.

mod cases;
mod cone;
mod distance;
mod plane;
mod project;
mod region;
mod search;

pub use cases::{Case, Kind, case, cases};
pub use distance::{Distance, between};
pub use plane::{Nearest, Plane};
pub use region::{Decision, Facet, Region};
pub use search::{Adversarial, nearest_adversarial};

use certus::network::Network;
use certus_engine::model::Activation;

/// The corners `(lo, hi)` of a box of inputs.
pub type Corners<'a> = (&'a [f32], &'a [f32]);

/// # Panics
/// If `net` does not take `u`, has no layer, or ends in an activation.
fn check_network(net: &Network, u: &[f32]) {
    assert_eq!(net.inputs, u.len(), "inputs of network and point");
    let last = net.layers.last().expect("a network without layers has no classes");
    assert_eq!(last.activation, Activation::Identity, "the last layer must be linear");
}

/// # Panics
/// If the box does not fit `u` or does not have it.
fn check_box((lo, hi): Corners<'_>, u: &[f32]) {
    assert!(lo.len() == u.len() && hi.len() == u.len(), "corners of {} inputs", u.len());
    let inside = u.iter().zip(lo).zip(hi).all(|((u, lo), hi)| lo <= u && u <= hi);
    assert!(inside, "the box {lo:?} to {hi:?} must have the point {u:?}");
}
