//! The geometry of piecewise linear networks: certificates from it, and regions to draw.
//!
//! * [`DecisionBoundary`]: a certified radius of two-layer networks from all activation patterns at
//!   once, or all that its ball can meet; [`spectral_norm_up`], which it rests on; [`Norms`]: of all layers, for the simplex
//!   certificate. Rounded outward: proofs.
//! * [`search`]: from linear region to linear region, until the nearest other answer is found.
//! * [`exact()`]: the exact distance of the nearest other answer, where it is known.
//! * [`regions`]: the linear regions over a window of a plane. In f64: pictures.

mod decision_boundary;
mod exact;
mod forms;
pub(crate) mod interval;
mod norms;
pub mod polygon;
mod regions;
pub mod search;
mod spectral;

pub use decision_boundary::{DecisionBoundary, Denominator};
pub(crate) use exact::ROUNDING;
pub use exact::exact;
pub use forms::Forms;
pub use norms::Norms;
pub use regions::{MAX_REGIONS, Piece, Plane, Window, regions};
pub use spectral::spectral_norm_up;

use certus_engine::model::Activation;

use crate::error::{Error, Result};

/// Refuses layers that do not have two lines meeting at 0, all rows alike: linear regions end where
/// a pre-activation is 0. Takes each layer's activation and how many rows pass by it.
///
/// # Errors
/// [`Error::Usage`] naming `what` asks, the layer and its activation.
pub fn check_two_lines(
    what: &str,
    layers: impl IntoIterator<Item = (Activation, usize)>,
) -> Result<()> {
    let fits = |(activation, through): &(Activation, usize)| {
        activation.leak().is_some_and(|leak| leak == 1.0 || *through == 0)
    };
    for (k, layer) in layers.into_iter().enumerate() {
        if !fits(&layer) {
            let beside = if layer.1 > 0 { " beside rows that pass by it" } else { "" };
            return Err(Error::Usage(format!(
                "{what}: {} after layer {k}{beside}; expected ReLU or leaky ReLU",
                layer.0.name()
            )));
        }
    }
    Ok(())
}
