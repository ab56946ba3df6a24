//! Seeded random cases of several kinds, and hand-written nets that break careless verifiers.
//!
//! A case is reproduced by its kind, seed and index alone, which its name tells.

mod breakers;
mod cancelling;
mod draw;
mod kinds;
mod tight;

use certus::network::{Affine, Network};
use certus_engine::model::Activation;

pub use breakers::{Breaker, breakers};
pub use tight::tighten;

use crate::region::Region;

/// A network, a region, and a linear specification `row . f(x) >= 0`.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Kind, seed and index, or a breaker's name.
    pub name: String,
    /// The network.
    pub net: Network,
    /// The region, never empty.
    pub region: Region,
    /// The specification's coefficients, one for each output.
    pub spec_row: Vec<f32>,
}

/// What a random case is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Gaussian weights and biases.
    Gaussian,
    /// Small integers: ties, zeros, dead and always active units.
    Integer,
    /// Magnitudes from 1e-20 to 1e20, zeros and subnormals.
    Wide,
    /// Large terms that cancel, and an exact margin of 0 or within an ulp of it.
    Cancelling,
    /// A layer whose units are all inactive, or all but one, or at zero exactly.
    Dying,
    /// Leaky units with slopes 0, tiny, ordinary and 1, identity layers, an activation at the end.
    Leaky,
    /// Gaussian numbers or small integers; in some layers the first rows pass by the ReLU, or all do.
    Skipping,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 7] = [
        Kind::Gaussian,
        Kind::Integer,
        Kind::Wide,
        Kind::Cancelling,
        Kind::Dying,
        Kind::Leaky,
        Kind::Skipping,
    ];

    /// Those in which no row passes by an activation, for methods that refuse such rows.
    pub const UNIFORM: [Kind; 6] =
        [Kind::Gaussian, Kind::Integer, Kind::Wide, Kind::Cancelling, Kind::Dying, Kind::Leaky];
}

/// Case `index` of the sequence [`cases`].
pub fn case(seed: u64, kind: Kind, index: u64) -> Case {
    // Distinct odd multipliers keep neighbouring seeds and indices apart.
    let mixed =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index.wrapping_mul(0xd1b5_4a32_d192_ed03);
    let mut rng = fastrand::Rng::with_seed(mixed ^ ((kind as u64) << 60));
    let name = format!("{kind:?} seed {seed} index {index}");
    kinds::case(&mut rng, kind, name)
}

/// An endless sequence of cases.
pub fn cases(seed: u64, kind: Kind) -> impl Iterator<Item = Case> {
    (0..).map(move |index| case(seed, kind, index))
}

/// A layer from its rows.
///
/// # Panics
/// If the rows' lengths differ or there is not one bias for each.
pub fn affine(rows: &[&[f32]], bias: &[f32], activation: Activation) -> Affine {
    let cols = rows[0].len();
    assert!(rows.len() == bias.len() && rows.iter().all(|row| row.len() == cols));
    Affine {
        rows: rows.len(),
        cols,
        weights: rows.concat(),
        bias: bias.to_vec(),
        activation,
        through: 0,
        weight_error: 0.0,
        bias_error: 0.0,
    }
}

/// A network from its layers.
///
/// # Panics
/// If there is no layer, or two do not fit.
pub fn network(layers: Vec<Affine>) -> Network {
    assert!(layers.windows(2).all(|pair| pair[0].rows == pair[1].cols));
    Network { inputs: layers[0].cols, layers }
}

/// A controller of shape 12-64-64-4 with the activation after its hidden layers.
pub fn policy(rng: &mut fastrand::Rng, activation: Activation) -> Network {
    let mut layer = |rows: usize, cols: usize, activation| Affine {
        rows,
        cols,
        weights: (0..rows * cols).map(|_| (rng.f32() - 0.5) * 3.0 / (cols as f32).sqrt()).collect(),
        bias: (0..rows).map(|_| rng.f32() - 0.5).collect(),
        activation,
        through: 0,
        weight_error: 0.0,
        bias_error: 0.0,
    };
    let layers = vec![
        layer(64, 12, activation),
        layer(64, 64, activation),
        layer(4, 64, Activation::Identity),
    ];
    network(layers)
}
